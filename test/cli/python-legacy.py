"""Translates command lines with the stock daemon's argsupgrade.py. Reads JSON (the directory of its modules, a work
directory, a list of argument lists) from standard input; prints one object per list: argv, or exit and out."""

import contextlib
import io
import json
import sys

request = json.load(sys.stdin)
sys.path.insert(0, request["syncdaemon"])
import argsupgrade  # noqa: E402

argsupgrade.GLUSTERD_WORKDIR = request["workdir"]


def upgraded(args):
    sys.argv = ["gsyncd"] + args
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            argsupgrade.upgrade()
        except SystemExit as end:
            return {"exit": end.code or 0, "out": out.getvalue()}
        except Exception:
            return {"exit": 1, "out": out.getvalue()}
    # A missing value is None in the new command line, and stock's parser fails on it.
    return {"exit": 1, "out": ""} if None in sys.argv else {"argv": sys.argv[1:]}


json.dump([upgraded(args) for args in request["cases"]], sys.stdout)
