#!/usr/bin/env python3
"""Applies a list of workload operations to a tree; run inside a box by Lab.apply, on the primary volume's mount.

apply.py ROOT [--pace SECONDS] <operations

One JSON object a line, as workload.ts describes them; paths are relative to ROOT, in surrogateescape form. Operations
that the tree does not allow (a shrunk list names things that are not there) are counted and passed over. --pace spreads
the list over that time. Prints {"applied": n, "errors": {"ENOENT": n, ...}}.
"""
import errno
import json
import os
import random
import shutil
import stat
import struct
import sys
import time

TAGS = {'user_obj': 1, 'user': 2, 'group_obj': 4, 'group': 8, 'mask': 16, 'other': 32}
IGNORED = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.ENODATA,
           errno.ENAMETOOLONG, errno.EPERM, errno.ELOOP, errno.EBUSY, errno.ENXIO}


def data(op):
    return random.Random(op['seed']).randbytes(op['size'])


def acl_blob(entries):
    blob = struct.pack('<I', 2)
    for tag, perm, who in sorted(entries, key=lambda e: (TAGS[e[0]], e[2])):
        blob += struct.pack('<HHI', TAGS[tag], perm, 0xffffffff if who is None or who < 0 else who)
    return blob


def remove(path):
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def write_file(path, op):
    with open(path, 'xb') as file:
        file.write(data(op))
    if 'mode' in op:
        os.chmod(path, op['mode'])


def write_at(path, op):
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.pwrite(fd, data(op), op['offset'])
    finally:
        os.close(fd)


def append(path, op):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.write(fd, data(op))
    finally:
        os.close(fd)


def truncate(path, op):
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.ftruncate(fd, op['size'])
    finally:
        os.close(fd)


def sparse(path, op):
    with open(path, 'xb') as file:
        file.seek(op['offset'])
        file.write(data(op))
        file.truncate(op['length'])


def swap(path, op, to):
    spare = path + b'.swap'
    os.rename(path, spare)
    os.rename(to, path)
    os.rename(spare, to)


def recreate(path, op):
    remove(path)
    if op['as'] == 'file':
        write_file(path, op)
    elif op['as'] == 'dir':
        os.mkdir(path)
    elif op['as'] == 'fifo':
        os.mkfifo(path, 0o600)
    else:
        os.symlink(os.fsencode(op['target']), path)


def regular_or_dir(path):
    if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise OSError(errno.EINVAL, 'neither file nor directory')
    return path


def apply(root, op):
    path = os.path.join(root, os.fsencode(op['path'])) if 'path' in op else root
    to = os.path.join(root, os.fsencode(op['to'])) if 'to' in op else None
    kind = op['op']
    if kind == 'create':
        write_file(path, op)
    elif kind == 'write':
        write_at(path, op)
    elif kind == 'append':
        append(path, op)
    elif kind == 'truncate':
        truncate(path, op)
    elif kind == 'sparse':
        sparse(path, op)
    elif kind == 'mkdir':
        os.mkdir(path, op.get('mode', 0o755))
    elif kind == 'rmdir':
        os.rmdir(path)
    elif kind == 'unlink':
        os.unlink(path)
    elif kind == 'remove':
        remove(path)
    elif kind == 'rename':
        os.rename(path, to)
    elif kind == 'swap':
        swap(path, op, to)
    elif kind == 'link':
        os.link(path, to, follow_symlinks=False)
    elif kind == 'symlink':
        os.symlink(os.fsencode(op['target']), path)
    elif kind == 'mkfifo':
        os.mkfifo(path, op.get('mode', 0o644))
    elif kind == 'mknod':
        os.mknod(path, (stat.S_IFBLK if op.get('block') else stat.S_IFCHR) | 0o600, os.makedev(op['major'], op['minor']))
    elif kind == 'recreate':
        recreate(path, op)
    elif kind == 'chmod':
        os.chmod(regular_or_dir(path), op['mode'])
    elif kind == 'chown':
        os.lchown(path, op['uid'], op['gid'])
    elif kind == 'utimes':
        os.utime(regular_or_dir(path), ns=(op['mtimeNs'], op['mtimeNs']))
    elif kind == 'setxattr':
        os.setxattr(regular_or_dir(path), op['name'], op['value'].encode())
    elif kind == 'removexattr':
        os.removexattr(regular_or_dir(path), op['name'])
    elif kind == 'acl':
        name = 'system.posix_acl_default' if op.get('default') else 'system.posix_acl_access'
        os.setxattr(regular_or_dir(path), name, acl_blob(op['entries']))
    elif kind == 'sleep':
        time.sleep(op['ms'] / 1000)
    else:
        raise SystemExit('unknown operation: ' + kind)


def main():
    root = os.fsencode(sys.argv[1])
    pace = float(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[2] == '--pace' else 0
    ops = [json.loads(line) for line in sys.stdin if line.strip()]
    start, applied, errors = time.monotonic(), 0, {}
    for i, op in enumerate(ops):
        ahead = start + pace * i / max(1, len(ops)) - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        try:
            apply(root, op)
            applied += 1
        except OSError as error:
            if error.errno not in IGNORED:
                print('cannot apply %s: %s' % (json.dumps(op), error), file=sys.stderr)
                sys.exit(1)
            name = errno.errorcode[error.errno]
            errors[name] = errors.get(name, 0) + 1
    print(json.dumps({'applied': applied, 'errors': errors}))


if __name__ == '__main__':
    main()
