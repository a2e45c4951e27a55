"""Reads configuration files with Python's RawConfigParser ("ini") or GlusterFS's gsyncdconfig ("gconf"). Takes one JSON
request on standard input and prints JSON on standard output."""

import io
import json
import sys
from configparser import Error, RawConfigParser

if not hasattr(RawConfigParser, "readfp"):
    RawConfigParser.readfp = RawConfigParser.read_file


def ini(text):
    parser = RawConfigParser()
    try:
        parser.read_file(io.StringIO(text, newline=None))
    except Error as error:
        return {"error": type(error).__name__}
    return {"sections": [[name, sorted(parser.items(name))] for name in parser.sections()]}


def gconf(case):
    import gsyncdconfig
    loaded = gsyncdconfig.Gconf(case["defaults"], case["session"], case["args"], case["extra"])
    return loaded.gconf


request = json.load(sys.stdin)
sys.path.insert(0, request.get("syncdaemon", ""))
answer = ini if request["kind"] == "ini" else gconf
json.dump([answer(case) for case in request["cases"]], sys.stdout)
