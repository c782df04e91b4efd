"""How a value refuses to be constructed: the field, what it was given, and what to write instead. Pure."""


def require(ok: bool, path: str, value: object, wish: str) -> None:
    """ValueError `path: <value> is not possible; write <wish>` unless `ok`."""
    if not ok:
        raise ValueError(f"{path}: {value} is not possible; write {wish}")
