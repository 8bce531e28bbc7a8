"""Follow a pickle's instructions on a stack of plain Python objects.

A subclass of `pickle.Unpickler` with `find_class` and `persistent_load` would be shorter, but it
cannot bound what a file costs, as containers and the memo are out of its reach. Measured with
Python 3.11: a dictionary whose key is a tuple of the same tuple twice, 26 levels deep, is a pickle
of 222 bytes that takes 1.1 s, and every level more (8 bytes) doubles that; ten bytes that store
memo entry 2³¹ − 1 ask for 32 GiB. Here keys are texts and whole numbers only, the memo is a
dictionary, and instructions are counted.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from itertools import islice
from typing import IO, Any, cast

from .meanings import MEANINGS, Meaning
from .objects import Damage, Name, StandIn

# far above any real one: a short file must not become a long wait
_INSTRUCTIONS = 500_000


class Reader:
    """Follows a pickle's instructions. `find_storage` is asked for what lies elsewhere
    in the file.
    """

    def __init__(
        self,
        program: IO[bytes],
        find_storage: Callable[[Any], Any],
        *,
        meanings: Mapping[str, Meaning] = MEANINGS,
    ) -> None:
        self._program = program
        self._find_storage = find_storage
        self._meanings = meanings
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """Return the object that the program makes. The stream then stands behind the program."""
        operations = islice(pickletools.genops(self._program), _INSTRUCTIONS)
        for operation, argument, _ in operations:
            if operation.name == "STOP":
                return self._pop()
            if operation.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[operation.name])
            elif operation.name in _VALUES:
                self._stack.append(argument)
            elif operation.name in _ACTIONS:
                _ACTIONS[operation.name](self, argument)
            elif operation.name not in ("PROTO", "FRAME"):
                raise Damage(f"instruction {operation.name} is not known")
        raise Damage("its pickle has no end")

    # stack

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Damage("it takes what is not there")
        return self._stack.pop()

    def _pop_many(self, count: int) -> tuple[Any, ...]:
        return tuple([self._pop() for _ in range(count)][::-1])

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise Damage("it takes what is not there")
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _top(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    def mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def pop(self, _: Any) -> None:
        # after a mark, POP takes the mark away
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def pop_mark(self, _: Any) -> None:
        self._pop_to_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._top())

    def remember(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._top()

    def recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    # containers

    def new_list(self, _: Any) -> None:
        self._stack.append([])

    def new_dict(self, _: Any) -> None:
        self._stack.append({})

    def list_of_marked(self, _: Any) -> None:
        self._stack.append(self._pop_to_mark())

    def tuple_of_marked(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def tuple_of_one(self, _: Any) -> None:
        self._stack.append(self._pop_many(1))

    def tuple_of_two(self, _: Any) -> None:
        self._stack.append(self._pop_many(2))

    def tuple_of_three(self, _: Any) -> None:
        self._stack.append(self._pop_many(3))

    def dict_of_marked(self, _: Any) -> None:
        pairs = self._pop_to_mark()
        self._stack.append({})
        self._fill(pairs)

    def append(self, _: Any) -> None:
        self._extend([self._pop()])

    def extend(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            cast("list[Any]", target).extend(values)

    def set_item(self, _: Any) -> None:
        self._fill(list(self._pop_many(2)))

    def set_items(self, _: Any) -> None:
        self._fill(self._pop_to_mark())

    def _fill(self, flat: list[Any]) -> None:
        target = self._top()
        if isinstance(target, dict):
            for key, value in zip(flat[::2], flat[1::2], strict=True):
                # others are of no use here, and to hash them may cost anything
                if isinstance(key, str | int):
                    target[key] = value

    # objects

    def name(self, text: str) -> None:
        self._stack.append(Name(text))

    def name_of_two(self, _: Any) -> None:
        parts = self._pop_many(2)
        # what else they are is never written out: lists of lists could become texts without end
        texts = [part for part in parts if isinstance(part, str)]
        self._stack.append(Name(" ".join(texts) if len(texts) == 2 else ""))

    def instance(self, text: str) -> None:
        self._pop_to_mark()
        self._stack.append(StandIn(text))

    def instance_of_marked(self, _: Any) -> None:
        taken = self._pop_to_mark()
        self._stack.append(_stand_in(taken[0] if taken else None))

    def new_object(self, _: Any) -> None:
        kind, _arguments = self._pop_many(2)
        self._stack.append(_stand_in(kind))

    def new_object_with_keywords(self, _: Any) -> None:
        kind, _arguments, _keywords = self._pop_many(3)
        self._stack.append(_stand_in(kind))

    def call(self, _: Any) -> None:
        function, arguments = self._pop_many(2)
        text = function.text if isinstance(function, Name) else ""
        if isinstance(arguments, tuple) and text in self._meanings:
            self._stack.append(self._meanings[text](cast("tuple[Any, ...]", arguments)))
        else:
            self._stack.append(_stand_in(function))

    def build(self, _: Any) -> None:
        state = self._pop()
        target = self._top()
        if isinstance(target, StandIn):
            # a pair: attributes, and those in slots, which no network has
            first = state[0] if isinstance(state, tuple) and state else state
            target.state = cast("dict[Any, Any]", first) if isinstance(first, dict) else {}

    def persistent(self, _: Any) -> None:
        self._stack.append(self._find_storage(self._pop()))


def _stand_in(kind: Any) -> StandIn:
    return StandIn(kind.text if isinstance(kind, Name) else "")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_ACTIONS: dict[str, Callable[[Reader, Any], None]] = {
    "MARK": Reader.mark,
    "POP": Reader.pop,
    "POP_MARK": Reader.pop_mark,
    "DUP": Reader.duplicate,
    "PUT": Reader.remember,
    "BINPUT": Reader.remember,
    "LONG_BINPUT": Reader.remember,
    "MEMOIZE": Reader.remember,
    "GET": Reader.recall,
    "BINGET": Reader.recall,
    "LONG_BINGET": Reader.recall,
    "EMPTY_LIST": Reader.new_list,
    "EMPTY_SET": Reader.new_list,
    "EMPTY_DICT": Reader.new_dict,
    "LIST": Reader.list_of_marked,
    "FROZENSET": Reader.list_of_marked,
    "TUPLE": Reader.tuple_of_marked,
    "TUPLE1": Reader.tuple_of_one,
    "TUPLE2": Reader.tuple_of_two,
    "TUPLE3": Reader.tuple_of_three,
    "DICT": Reader.dict_of_marked,
    "APPEND": Reader.append,
    "APPENDS": Reader.extend,
    "ADDITEMS": Reader.extend,
    "SETITEM": Reader.set_item,
    "SETITEMS": Reader.set_items,
    "GLOBAL": Reader.name,
    "STACK_GLOBAL": Reader.name_of_two,
    "INST": Reader.instance,
    "OBJ": Reader.instance_of_marked,
    "NEWOBJ": Reader.new_object,
    "NEWOBJ_EX": Reader.new_object_with_keywords,
    "REDUCE": Reader.call,
    "BUILD": Reader.build,
    "BINPERSID": Reader.persistent,
}
