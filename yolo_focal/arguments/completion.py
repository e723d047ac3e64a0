"""Shell completion, out of the tables that help and checks read: first words, arguments, and values that are words."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.arguments.focal import KEYS
from yolo_focal.arguments.key import Key, switch
from yolo_focal.arguments.passed_on import passed_on
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.arguments.yolo_words import YOLO_WORDS
from yolo_focal.resources import cfg_names

__all__ = ["completion_script"]

ANY = "*"  # first words that are none of COMMANDS, and arguments of a training


@dataclass(frozen=True)
class _Table:
    """What can be typed where.

    Attributes:
        first: first words, each with one line about it.
        arguments: by first word, the words that may follow: `key=`, or plain ones; each with one line about it.
        values: by first word and key, values; other keys take files.
    """

    first: Mapping[str, str]
    arguments: Mapping[str, Mapping[str, str]]
    values: Mapping[tuple[str, str], tuple[str, ...]]


def completion_script(shell: str, defaults: Mapping[str, Any]) -> str:
    """The script that makes a shell complete the words of yolo-focal.

    Args:
        shell: bash, zsh or fish.
        defaults: Ultralytics' training arguments with their defaults.
    """
    render: Mapping[str, Callable[[_Table], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return render[shell](_table(defaults))


def _table(defaults: Mapping[str, Any]) -> _Table:
    theirs = {name: _key_of_ultralytics(name, default) for name, default in defaults.items()}
    training = {**theirs, **TRAINING_KEYS}
    arguments = {name: {**_own_words(name), **_passed_on_words(name, training)} for name in COMMANDS}
    arguments |= {"help": {name: command.summary for name, command in COMMANDS.items()}}
    arguments |= {ANY: {f"{key.name}=": key.help for key in training.values()}}
    values = {(name, key.name): key.options for name, command in COMMANDS.items() for key in command.keys}
    values |= {(ANY, key.name): key.options for key in training.values()}
    named = {"cfg": cfg_names("hyp"), "data": ["shapes", *cfg_names("data")], "space": cfg_names("search")}
    values |= {(ANY, key): tuple(names) for key, names in named.items()}
    first = {**dict.fromkeys(YOLO_WORDS, "as the yolo command"), **{n: c.summary for n, c in COMMANDS.items()}}
    return _Table(first, arguments, {place: options for place, options in values.items() if options})


def _key_of_ultralytics(name: str, default: Any) -> Key:
    about = f"of Ultralytics (default {default})"
    return Key(name, default, about, switch) if isinstance(default, bool) else Key(name, default, about)


def _own_words(name: str) -> dict[str, str]:
    keys = COMMANDS[name].keys
    leading = {option: key.help for key in keys if key.leading for option in key.options}
    return {**leading, **{f"{key.name}=": key.help for key in keys if not key.leading}, "help": "its arguments"}


def _passed_on_words(name: str, training: Mapping[str, Key]) -> dict[str, str]:
    if not COMMANDS[name].training:
        return {}
    refused = (*KEYS, "cls_pw") if name == "compare" else ()  # there they belong to a configuration
    return {f"{each}=": training[each].help for each in passed_on(name, training) if each not in refused}


def _cases(rows: Mapping[str, str], indent: int) -> str:
    """Branches of a case of bash and zsh; that of any first word comes last."""
    ordered = sorted(rows, key=lambda pattern: pattern.startswith(ANY))
    return "\n".join(f"{' ' * indent}{pattern}) {rows[pattern]} ;;" for pattern in ordered)


def _values_of(table: _Table) -> dict[str, str]:
    return {f"{first}/{key}": " ".join(options) for (first, key), options in table.values.items()}


# The word is cut off the line and not taken from COMP_WORDS, which bash breaks at "=" unless the user has changed that.
_BASH = """\
# Completion of yolo-focal for bash: eval "$(yolo-focal completion bash)"
_yolo_focal() {
    local line=${COMP_LINE:0:COMP_POINT} first=${COMP_WORDS[1]} word value candidates= files= IFS=$' \\t\\n'
    word=${line##*[[:space:]]}
    value=$word
    COMPREPLY=()
    if [[ $word == *=* ]]; then
        value=${word#*=} files=yes
        case $first/${word%%=*} in
@VALUES@
        esac
    elif [[ $COMP_CWORD -eq 1 ]]; then
        candidates="@FIRST@"
    else
        case $first in
@ARGUMENTS@
        esac
    fi
    candidates=$(compgen -W "$candidates" -- "$value")
    IFS=$'\\n'
    for word in $candidates; do
        if [[ $word == *= ]]; then COMPREPLY+=("$word"); else COMPREPLY+=("$word "); fi
    done
    if [[ -n $files && -z $candidates ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$value"))
    fi
    if [[ -n $files && $COMP_WORDBREAKS != *=* ]]; then
        word=${line##*[[:space:]]}
        COMPREPLY=("${COMPREPLY[@]/#/${word%%=*}=}")
    fi
}
complete -o nospace -F _yolo_focal yolo-focal
"""


def _bash(table: _Table) -> str:
    return _filled(
        _BASH,
        FIRST=" ".join(table.first),
        VALUES=_cases({place: f'candidates="{options}"' for place, options in _values_of(table).items()}, 12),
        ARGUMENTS=_cases({first: f'candidates="{" ".join(words)}"' for first, words in table.arguments.items()}, 12),
    )


_ZSH = """\
#compdef yolo-focal
# Completion of yolo-focal for zsh, after compinit: eval "$(yolo-focal completion zsh)"
_yolo_focal() {
    local first=$words[2] key=${PREFIX%%=*} values=
    local -a candidates
    if [[ $PREFIX == *=* ]]; then
        compset -P '*='
        case $first/$key in
@VALUES@
        esac
        candidates=(${=values})
        compadd -a candidates || _files
    elif (( CURRENT == 2 )); then
        candidates=(@FIRST@)
        _describe command candidates
    else
        case $first in
@ARGUMENTS@
        esac
        local -a keys=(${(M)candidates:#[^:]#=:*}) plain=(${candidates:#[^:]#=:*})
        _describe argument keys -S '' -- plain
    fi
}
compdef _yolo_focal yolo-focal
"""


def _zsh(table: _Table) -> str:
    def described(words: Mapping[str, str]) -> str:
        return " ".join(shlex.quote(f"{word}:{about}") for word, about in words.items())

    return _filled(
        _ZSH,
        FIRST=described(table.first),
        VALUES=_cases({place: f"values='{options}'" for place, options in _values_of(table).items()}, 12),
        ARGUMENTS=_cases({first: f"candidates=({described(words)})" for first, words in table.arguments.items()}, 12),
    )


_FISH = """\
# Completion of yolo-focal for fish: yolo-focal completion fish | source
function __yolo_focal
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l first $before[2]
    if string match -q '*=*' -- $word
        set -l key (string split -m 1 = -- $word)[1]
        set -l values
        switch $first/$key
@VALUES@
        end
        string match -q "*=*" -- $key=$values; and printf '%s\\n' $key=$values
        __fish_complete_path (string split -m 1 = -- $word)[2] | string replace -r '^' $key=
    else if test (count $before) -eq 1
        printf '%s\\t%s\\n' @FIRST@
    else
        switch $first
@ARGUMENTS@
        end
    end
end
complete -c yolo-focal -f -a '(__yolo_focal)'
"""


def _fish(table: _Table) -> str:
    def described(words: Mapping[str, str]) -> str:
        return " ".join(_fish_quoted(text) for pair in words.items() for text in pair)

    def switch_cases(rows: Mapping[str, str]) -> str:
        ordered = sorted(rows, key=lambda pattern: pattern.startswith(ANY))
        return "\n".join(f"            case '{pattern}'\n                {rows[pattern]}" for pattern in ordered)

    return _filled(
        _FISH,
        FIRST=described(table.first),
        VALUES=switch_cases({place: f"set values {options}" for place, options in _values_of(table).items()}),
        ARGUMENTS=switch_cases(
            {first: f"printf '%s\\t%s\\n' {described(words)}" for first, words in table.arguments.items()}
        ),
    )


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _filled(template: str, **parts: str) -> str:
    for name, part in parts.items():
        template = template.replace(f"@{name}@", part)
    return template
