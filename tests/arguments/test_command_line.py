"""Arguments of commands: parsed, checked together, and explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.arguments.command_line import check_values, help_table, parse_arguments, refuse_undecoded
from yolo_focal.arguments.key import Key, in_range, one_of, switch, text, text_list, truth
from yolo_focal.errors import ConfigError

TABLE = (
    Key("data", None, "a data YAML", read=text, required=True),
    Key("epochs", 12, "length", in_range(int, 1)),
    Key("share", 0.5, "a share", in_range(float, 0, 1)),
    Key("mode", "copy", "how", one_of(("copy", "link")), text),
    Key("plots", True, "pictures", switch, truth),
    Key("names", [], "a list", read=text_list),
)


def test_values_are_typed_and_complete():
    """What is given is parsed; what is not has its default."""
    values = parse_arguments("try", TABLE, ["data=a.yaml", "epochs=3", "plots=False", "names=[a, b]"])
    assert values == {
        "data": "a.yaml",
        "epochs": 3,
        "share": 0.5,
        "mode": "copy",
        "plots": False,
        "names": ["a", "b"],
    }


@given(st.integers(1, 10**9))
def test_every_integer_in_range_survives(value):
    """Parsing inverts printing."""
    assert parse_arguments("try", TABLE, ["data=a", f"epochs={value}"])["epochs"] == value


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs=0", "epochs must be an integer >= 1, got '0'"),
        ("epochs=3.5", "epochs must be an integer >= 1, got '3.5'"),
        ("share=2", "share must be a number >= 0 and <= 1, got '2'"),
        ("share=nan", "share must be a number >= 0 and <= 1, got 'nan'"),
        ("mode=move", "mode must be one of copy, link, got 'move'"),
        ("plots=maybe", "plots must be True or False, got 'maybe'"),
        ("epoch=3", "'epoch' is not an argument of try; did you mean 'epochs'?"),
        ("zzz=3", "'zzz' is not an argument of try; known keys: data, epochs"),
        ("epochs", "'epochs' has no value; write epochs=VALUE"),
        ("epochs=", "'epochs=' has no value; write epochs=VALUE"),
    ],
)
def test_a_bad_word_is_named_with_what_was_expected(word, message):
    """Each kind of mistake has its sentence."""
    with pytest.raises(ConfigError) as caught:
        parse_arguments("try", TABLE, ["data=a", word])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("command", "word"), [("doctor", "workers=0"), ("compare", "patience=9"), ("tune", "mode=train")]
)
def test_a_training_argument_that_is_left_out_on_purpose_is_not_taken_for_a_misspelling(command, word):
    """The user is told to leave it out, and not that `workspace` may have been meant."""
    name = word.partition("=")[0]
    with pytest.raises(ConfigError) as caught:
        parse_arguments(command, TABLE[:1], ["data=a", word], extra=["workspace", "patch", "model"])
    assert str(caught.value) == f"'{name}' is a training argument that {command} does not take; leave it out"


def test_all_problems_are_reported_together():
    """A missing key, a bad value and an unknown key come in one error."""
    with pytest.raises(ConfigError) as caught:
        parse_arguments("try", TABLE, ["epochs=0", "moed=copy"])
    assert len(caught.value.problems) == 3
    assert "data= is required: a data YAML" in caught.value.problems


def test_keys_of_another_library_are_passed_through_as_literals():
    """They become Python values and keep their names."""
    assert parse_arguments("try", TABLE, ["data=a", "lr0=0.1", "cos_lr=true"], extra=["lr0", "cos_lr"])["lr0"] == 0.1


def test_help_names_every_argument():
    """One line each, with its default or that it is required."""
    table = help_table("yolo-focal try", "tries", TABLE)
    assert all(argument.name in table for argument in TABLE)
    assert "(required)" in table and "(default 12)" in table


def test_values_given_in_python_are_checked_the_same_way():
    """Python values or the words for them; None is not given."""
    values = check_values("try", TABLE, {"data": "a", "epochs": 3, "names": ["a", "b,c"], "plots": "no", "share": None})
    assert (values["epochs"], values["names"], values["plots"], values["share"]) == (3, ["a", "b,c"], False, 0.5)
    with pytest.raises(ConfigError) as caught:
        check_values("try", TABLE, {"epochs": 0, "mode": "move", "nothing": 1})
    assert len(caught.value.problems) == 4
    assert "epochs must be an integer >= 1, got '0'" in caught.value.problems


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("person,car", ["person", "car"]),
        ("[person, car]", ["person", "car"]),
        ("['a, b', 'c [d]']", ["a, b", "c [d]"]),
        ("7", ["7"]),
        ("007,1e3", ["007", "1e3"]),
        (["a, b"], ["a, b"]),
    ],
)
def test_lists_of_texts(typed, texts):
    """Names with commas and brackets as a Python list; numbers stay the text they were typed as."""
    assert text_list(typed) == texts


def test_of_a_key_given_twice_the_last_value_counts():
    """As with yolo, so that a script can append what its user typed."""
    keys = (Key("losses", "bce", "what to train", read=text),)
    assert parse_arguments("compare", keys, ["losses=bce", "losses=qfl"]) == {"losses": "qfl"}


def test_a_word_that_is_no_text_is_refused():
    """Bytes of another encoding, as Python passes them on."""
    refuse_undecoded(["name=café", "data=数据.yaml"])
    with pytest.raises(ConfigError, match=r"'name=caf\\udce9' is not UTF-8 text"):
        refuse_undecoded(["model=a.pt", "name=caf\udce9"])
