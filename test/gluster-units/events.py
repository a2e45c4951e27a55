# Stock's side of Gluster's events. argv[1] is one of:
#   listen            receives datagrams as glustereventsd does and prints what its handlers get, one JSON list a line;
#                     the first line is the port
#   send PORT KEYS    sends with stock's sender; KEYS is JSON: [event number, {key: value}]
import glob
import json
import sys

root = glob.glob('/usr/lib*/*/glusterfs/gfevents') + glob.glob('/usr/libexec/glusterfs/gfevents')
sys.path[:0] = [root[0].rsplit('/', 1)[0], root[0]]
import gfevents.eventsapiconf as conf
conf.LOG_FILE = '/dev/null'

if sys.argv[1] == 'send':
    import gfevents.utils as utils
    utils._config = {'port': int(sys.argv[2])}
    from gfevents.gf_event import gf_event
    number, fields = json.loads(sys.argv[3])
    gf_event(number, **fields)
else:
    import glustereventsd as daemon
    daemon.handlers.generic_handler = lambda ts, key, data: print(json.dumps([ts, daemon.all_events[key], data]), flush=True)
    server = daemon.UDPServerv4(('0.0.0.0', 0), daemon.GlusterEventsRequestHandler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
