# on-terminal.py COMMAND...: runs COMMAND on a terminal of 80 by 24, presses q after two seconds, and prints what it wrote, its
# exit code, and whether the terminal's settings are as before, as JSON.
import fcntl, json, os, pty, select, struct, sys, termios, time

master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.close(master)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.environ.update(TERM='xterm', LC_ALL='C.UTF-8', NO_COLOR='1')
    os.execvp(sys.argv[1], sys.argv[1:])

output, code, drawn, pressed, end = b'', None, None, False, time.time() + 60
while code is None and time.time() < end:
    if select.select([master], [], [], 0.1)[0]:
        output += os.read(master, 65536)
        drawn = drawn or (time.time() if b'every' in output else None)
    if drawn and not pressed and time.time() > drawn + 2:
        os.write(master, b'q')
        pressed = True
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        code = os.waitstatus_to_exitcode(status)
while select.select([master], [], [], 0.2)[0]:
    output += os.read(master, 65536)
if code is None:
    os.kill(pid, 9)
print(json.dumps({'output': output.decode('utf-8', 'replace'), 'code': code, 'restored': termios.tcgetattr(slave) == before}))
