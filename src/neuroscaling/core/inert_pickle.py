"""A pickle is read as data: nothing that it names is imported, looked up or called.

Python's own reader turns names into functions and calls them. This one goes through the operations of the format
(documented in Python's `pickletools`) and keeps what they describe: plain data and containers as themselves, classes
and functions as their names, and calls as objects that remember the name and the arguments.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

MOST_OPERATIONS = 5_000_000
"""A checkpoint of a thousand tensors with its optimiser takes some hundred thousand."""
NOT_KNOWN: Any = object()
"""What a `call` gives for names that it doesn't know."""


@dataclass(frozen=True)
class Named:
    """A class or a function that a pickle names, `package.module.name`. It is only a name."""

    name: str


@dataclass(eq=False)
class Inert:
    """An object that loading would have made: by calling `name`. state: what it would have been given afterwards."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: list[Any] = field(default_factory=list)


Call = Callable[[str, tuple[Any, ...]], Any]
DICTIONARIES = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")


def read_pickle(file: IO[bytes], call: Call, persistent: Callable[[Any], Any]) -> Any:
    """What the pickle that begins at the place of `file` holds; the place is behind it afterwards.

    call: gives the value of a call by the name that is called and its arguments, or NOT_KNOWN for an object that is
    kept as `Inert`; persistent: gives the value of a reference to what lies outside of the pickle. Raises ValueError
    for what is no pickle, is cut short, or takes more than MOST_OPERATIONS.
    """
    machine = _Machine(call, persistent)
    for number, (operation, argument, _) in enumerate(pickletools.genops(file)):
        if number > MOST_OPERATIONS:
            raise ValueError(f"more than {MOST_OPERATIONS} operations")
        if operation.name == "STOP":
            return machine.pop()
        machine.run(operation.name, argument)
    raise ValueError("it has no end")


class LimitedFile:
    """A file that is read up to its size: a stated length beyond it is an error, and not a request for memory."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size

    def read(self, length: int) -> bytes:
        """The next bytes, as many as asked for. Raises ValueError where the file has fewer."""
        if not 0 <= length <= self.size - self.file.tell():
            raise ValueError(f"{length} bytes are stated, {self.size - self.file.tell()} are left")
        return self.file.read(length)

    def readline(self) -> bytes:
        """The next line."""
        return self.file.readline()

    def tell(self) -> int:
        """The place in the file."""
        return self.file.tell()


MARK = object()
CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}
EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
VALUES = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
"""Operations whose argument is the value."""
REMEMBER, RECALL = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
FRAMING = ("PROTO", "FRAME")


class _Machine:
    """The stack and the memory that the operations of a pickle work on."""

    def __init__(self, call: Call, persistent: Callable[[Any], Any]) -> None:
        self.call, self.persistent = call, persistent
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, operation: str, argument: Any) -> None:
        """Do one operation. Raises ValueError for one that this reader doesn't know, or that doesn't fit the stack."""
        if operation in VALUES:
            self.stack.append(argument)
        elif operation in CONSTANTS:
            self.stack.append(CONSTANTS[operation])
        elif operation in EMPTY:
            self.stack.append(EMPTY[operation]())
        elif operation in REMEMBER:
            self.memory[argument] = self.top()
        elif operation == "MEMOIZE":
            self.memory[len(self.memory)] = self.top()
        elif operation in RECALL:
            self.stack.append(self.memory[argument])
        elif operation in TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(TUPLES[operation])])))
        elif operation not in FRAMING:
            work = getattr(self, f"_{operation.lower()}", None)
            if work is None:
                raise ValueError(f"operation {operation}")
            work(argument)

    def pop(self) -> Any:
        """The value on top of the stack, taken off. Raises ValueError where none is there."""
        if not self.stack or self.stack[-1] is MARK:
            raise ValueError("a value is missing")
        return self.stack.pop()

    def top(self) -> Any:
        """The value on top of the stack."""
        if not self.stack or self.stack[-1] is MARK:
            raise ValueError("a value is missing")
        return self.stack[-1]

    def _marked(self) -> list[Any]:
        """The values above the last mark, in their order; they and the mark are taken off."""
        found: list[Any] = []
        while self.stack:
            value = self.stack.pop()
            if value is MARK:
                return found[::-1]
            found.append(value)
        raise ValueError("a mark is missing")

    def _mark(self, _: Any) -> None:
        self.stack.append(MARK)

    def _pop(self, _: Any) -> None:
        if not self.stack:
            raise ValueError("a value is missing")
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.top())

    def _list(self, _: Any) -> None:
        self.stack.append(self._marked())

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _dict(self, _: Any) -> None:
        self.stack.append(_with_items({}, self._marked()))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(self._marked()))

    def _append(self, _: Any) -> None:
        value = self.pop()
        _extend(self.top(), [value])

    def _appends(self, _: Any) -> None:
        values = self._marked()
        _extend(self.top(), values)

    def _additems(self, _: Any) -> None:
        values = self._marked()
        _extend(self.top(), values)

    def _setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        _with_items(self.top(), [key, value])

    def _setitems(self, _: Any) -> None:
        values = self._marked()
        _with_items(self.top(), values)

    def _global(self, argument: str) -> None:
        self.stack.append(Named(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(Named(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        self.stack.append(self._called(called, arguments))

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _newobj_ex(self, _: Any) -> None:
        options, arguments, called = self.pop(), self.pop(), self.pop()
        self.stack.append(Inert(_name(called), (arguments, options)))

    def _inst(self, argument: str) -> None:
        self.stack.append(Inert(argument.replace(" ", ".", 1), tuple(self._marked())))

    def _obj(self, _: Any) -> None:
        called, *arguments = self._marked() or [None]
        self.stack.append(Inert(_name(called), tuple(arguments)))

    def _build(self, _: Any) -> None:
        state, value = self.pop(), self.top()
        if isinstance(value, Inert):
            value.state.append(state)  # what containers and tensors are given beside their content is of no use here

    def _binpersid(self, _: Any) -> None:
        self.stack.append(self.persistent(self.pop()))

    def _called(self, called: Any, arguments: Any) -> Any:
        name = _name(called)
        if not isinstance(arguments, tuple):
            raise ValueError(f"{name} is called with no list of arguments")
        if name in DICTIONARIES:
            pairs = arguments[-1] if arguments and isinstance(arguments[-1], list) else []
            return _with_items({}, list(_flattened(pairs)))
        found = self.call(name, arguments)
        return Inert(name, arguments) if found is NOT_KNOWN else found


def _name(called: Any) -> str:
    if isinstance(called, Named):
        return called.name
    return f"what {called.name} gives" if isinstance(called, Inert) else type(called).__name__


def _flattened(pairs: list[Any]) -> Iterator[Any]:
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError("an item of a dictionary that is no pair")
        yield from pair


def _extend(container: Any, values: list[Any]) -> None:
    if isinstance(container, list):
        container.extend(values)
    elif isinstance(container, set):
        container.update(values)
    elif isinstance(container, Inert):
        container.state.append(values)
    else:
        raise ValueError(f"values for a {type(container).__name__}")


def _with_items(container: Any, values: list[Any]) -> Any:
    """The dictionary `container` with the keys and values that stand in `values` by turns."""
    if len(values) % 2:
        raise ValueError("a key without a value")
    items = dict(zip(values[::2], values[1::2], strict=True))
    if isinstance(container, dict):
        container.update(items)
    elif isinstance(container, Inert):
        container.state.append(items)
    else:
        raise ValueError(f"items for a {type(container).__name__}")
    return container
