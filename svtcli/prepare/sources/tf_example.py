"""`tf.train.Example`: named lists of bytes, float32 or int64, as protobuf.

The message is described here, so neither TensorFlow nor protoc is needed. Protobuf
reads packed and unpacked numbers alike.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from svtcli.failure import BadData

Value = list[bytes] | np.ndarray
"""A list of bytes, float32 [n] or int64 [n]."""


class BadExample(BadData):
    """Bytes that are not a `tf.train.Example`."""


class Example(Mapping[str, Value]):
    """The features of one record; a value is converted when it is asked for."""

    __slots__ = ("_features",)

    def __init__(self, features: Mapping[str, Any]) -> None:
        self._features = features

    def __getitem__(self, key: str) -> Value:
        # Asking a protobuf map for an unknown key would add it.
        if key not in self:
            raise KeyError(key)
        feature = self._features[key]
        match feature.WhichOneof("kind"):
            case "bytes_list":
                return list(feature.bytes_list.value)
            case "float_list":
                return np.array(feature.float_list.value, np.float32)
            case _:
                return np.array(feature.int64_list.value, np.int64)

    def __contains__(self, key: object) -> bool:
        # A feature of no kind says nothing.
        if not isinstance(key, str) or key not in self._features:
            return False
        return self._features[key].WhichOneof("kind") is not None

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._features if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def parse_example(data: bytes) -> Example:
    """Read one record's bytes. Errors: `BadExample`."""
    try:
        message: Any = _message_class().FromString(data)
    except DecodeError as error:
        raise BadExample(f"not a tf.train.Example ({error})") from error
    return Example(message.features.feature)


def encode_example(values: Mapping[str, Value]) -> bytes:
    """An Example's bytes, the same every time; arrays are float32 or int64."""
    message: Any = _message_class()()
    for key, value in values.items():
        feature = message.features.feature[key]
        if isinstance(value, list):
            feature.bytes_list.value.extend(value)
            feature.bytes_list.SetInParent()
        elif value.dtype == np.float32:
            feature.float_list.value.extend(value.tolist())
            feature.float_list.SetInParent()
        elif value.dtype == np.int64:
            feature.int64_list.value.extend(value.tolist())
            feature.int64_list.SetInParent()
        else:
            raise TypeError(f"{key}: {value.dtype} is neither float32 nor int64")
    return bytes(message.SerializeToString(deterministic=True))


@cache
def _message_class() -> type[Message]:
    """The class of Example, in a pool of its own."""
    kind = FieldDescriptorProto
    one, many = kind.LABEL_OPTIONAL, kind.LABEL_REPEATED
    file = FileDescriptorProto(name="svt/example.proto", package="svt", syntax="proto3")

    for name, number in (
        ("BytesList", kind.TYPE_BYTES),
        ("FloatList", kind.TYPE_FLOAT),
        ("Int64List", kind.TYPE_INT64),
    ):
        file.message_type.add(name=name).field.add(
            name="value", number=1, label=many, type=number
        )

    def point(message: Any, name: str, number: int, to: str, label: int = one) -> Any:
        return message.field.add(
            name=name,
            number=number,
            label=label,
            type=kind.TYPE_MESSAGE,
            type_name=f".svt.{to}",
        )

    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    point(feature, "bytes_list", 1, "BytesList").oneof_index = 0
    point(feature, "float_list", 2, "FloatList").oneof_index = 0
    point(feature, "int64_list", 3, "Int64List").oneof_index = 0

    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=kind.TYPE_STRING)
    point(entry, "value", 2, "Feature")
    point(features, "feature", 1, "Features.FeatureEntry", many)

    point(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("svt.Example"))
