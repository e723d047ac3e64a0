"""The YAML files of `cfg/`: found by bare name, in a checkout and in an installed wheel alike."""

from pathlib import Path

__all__ = ["cfg_file", "cfg_folder", "cfg_names"]


def cfg_folder() -> Path:
    """The folder `cfg`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "cfg"
    return inside if inside.is_dir() else package.parent / "cfg"


def cfg_names(kind: str) -> list[str]:
    """Bare names of the files of one kind: `hyp`, `models`, `data` or `search`."""
    return sorted(path.stem for path in (cfg_folder() / kind).glob("*.yaml"))


def cfg_file(kind: str, name: str) -> Path | None:
    """The file of `kind` with the bare name `name`, with or without `.yaml`; None where there is none."""
    bare = name.removesuffix(".yaml")
    return cfg_folder() / kind / f"{bare}.yaml" if bare in cfg_names(kind) else None
