"""JSON: strict, fast, and the same on every tier (`tier()` tells which one is in use)."""

from aisys.json.codec import Tier as Tier
from aisys.json.codec import canonical as canonical
from aisys.json.codec import dumps as dumps
from aisys.json.codec import dumps_str as dumps_str
from aisys.json.codec import get as get
from aisys.json.codec import get_many as get_many
from aisys.json.codec import loads as loads
from aisys.json.codec import loads_array as loads_array
from aisys.json.codec import tier as tier
from aisys.json.errors import JSONDecodeError as JSONDecodeError
from aisys.json.errors import JSONEncodeError as JSONEncodeError
from aisys.json.errors import JSONPointerError as JSONPointerError
from aisys.json.files import dump_file as dump_file
from aisys.json.files import dump_ndjson as dump_ndjson
from aisys.json.files import iter_ndjson as iter_ndjson
from aisys.json.files import load_file as load_file
from aisys.json.raw import Raw as Raw
from aisys.json.timing import SlowCalls as SlowCalls
from aisys.json.timing import time_slow_calls as time_slow_calls

__all__ = [
    "JSONDecodeError",
    "JSONEncodeError",
    "JSONPointerError",
    "Raw",
    "SlowCalls",
    "Tier",
    "canonical",
    "dump_file",
    "dump_ndjson",
    "dumps",
    "dumps_str",
    "get",
    "get_many",
    "iter_ndjson",
    "load_file",
    "loads",
    "loads_array",
    "tier",
    "time_slow_calls",
]
