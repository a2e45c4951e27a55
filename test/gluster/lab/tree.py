#!/usr/bin/env python3
"""Compares two directory trees in full; run inside a box by tree.ts, on the two volumes' mounts.

tree.py A B [--wait SECONDS] [--ignore FIELD,FIELD] [--only-utf8] [--show N] [--poll SECONDS]

Compared: names (as bytes), types, modes, owners; for everything but directories link counts and which names are one
inode; for regular files size, mtime in seconds and contents; device numbers, symlink targets, user xattrs and POSIX
ACLs. Left out: .trashcan and .glusterfs at the top, mtimes of directories and symlinks. Fractions of mtimes are
counted apart, as they are no difference. With --wait the comparison is repeated until the trees are equal or the time
is over; a look at names and attributes comes before contents are read, and contents of files whose stat has not
changed are not read again. --only-utf8 leaves out what a name or symlink target that is not UTF-8 leads to, and the
link counts of inodes that have such names beside others.

Prints one JSON object: equal, entries, seconds, looks, subsecond, total (number of differing paths), differences
(the first N, each {path, a, b} with the differing fields only, null when the path is missing on that side). Names are
strings in Python's surrogateescape form. Exit code 0 when equal, 1 when not.
"""
import argparse
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SKIP_AT_TOP = (b'.trashcan', b'.glusterfs')
KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFIFO: 'fifo',
         stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'char', stat.S_IFBLK: 'block'}


def text(name):
    return os.fsdecode(name)


def utf8(rel, record):
    return not any('\udc80' <= c <= '\udcff' for c in text(rel) + record.get('target', ''))


class Tree:
    """One side. `look()` reads names and attributes, `contents()` adds digests; both raise nothing."""

    def __init__(self, root, ignore, only_utf8):
        self.root = os.fsencode(root)
        self.ignore = ignore
        self.only_utf8 = only_utf8
        self.digests = {}

    def look(self, pool):
        records, inodes, level = {}, {}, [b'']
        while level:
            below = []
            for found in pool.map(self._directory, level):
                for rel, record, key in found:
                    if self.only_utf8 and not utf8(rel, record):
                        continue
                    records[rel] = record
                    if record.get('type') == 'dir':
                        below.append(rel)
                    elif key is not None:
                        inodes.setdefault(key[0], []).append(rel)
            level = below
        for names in inodes.values() if self.only_utf8 else ():
            for name in names:
                # Some of its names are not looked at: on the other side the inode has as many as arrived.
                records[name]['partial'] = records[name].get('nlink', 0) > len(names)
        if 'links' not in self.ignore:
            for names in inodes.values():
                if len(names) > 1:
                    group = sorted(text(n) for n in names)
                    for name in names:
                        records[name]['links'] = group
        return records

    def _directory(self, rel):
        path = os.path.join(self.root, rel)
        found = []
        try:
            names = os.listdir(path)
        except OSError as error:
            return [(os.path.join(rel, b'?'), {'listdir': os.strerror(error.errno)}, None)]
        for name in names:
            if rel == b'' and name in SKIP_AT_TOP:
                continue
            sub = os.path.join(rel, name)
            try:
                found.append((sub,) + self._entry(os.path.join(self.root, sub)))
            except OSError as error:
                found.append((sub, {'error': os.strerror(error.errno)}, None))
        return found

    def _entry(self, path):
        st = os.lstat(path)
        kind = KINDS.get(stat.S_IFMT(st.st_mode), 'unknown')
        record = {'type': kind, 'mode': oct(stat.S_IMODE(st.st_mode)), 'owner': '%d:%d' % (st.st_uid, st.st_gid)}
        if kind != 'dir':
            record['nlink'] = st.st_nlink
        if kind == 'symlink':
            record['target'] = text(os.readlink(path))
        if kind in ('char', 'block'):
            record['rdev'] = '%d:%d' % (os.major(st.st_rdev), os.minor(st.st_rdev))
        if kind == 'file':
            record['size'] = st.st_size
            record['mtime'] = int(st.st_mtime_ns // 10 ** 9)
            record['nsec'] = st.st_mtime_ns % 10 ** 9
        if kind in ('file', 'dir'):
            for name in os.listxattr(path, follow_symlinks=False):
                # A client with geo-replication's pid cannot set these: GlusterFS answers success and keeps nothing.
                if name == 'system.posix_acl_default':
                    continue
                wanted = 'xattrs' if name.startswith('user.') else 'acls' if name.startswith('system.posix_acl') else None
                if wanted and wanted not in self.ignore:
                    record[name] = os.getxattr(path, name, follow_symlinks=False).hex()
        for field in self.ignore:
            record.pop(field, None)
        return record, (st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)

    def contents(self, pool, records):
        files = [rel for rel, record in records.items() if record.get('type') == 'file']
        for rel, digest in zip(files, pool.map(self._digest, files)):
            records[rel]['sha256'] = digest

    def _digest(self, rel):
        path = os.path.join(self.root, rel)
        try:
            with open(path, 'rb', buffering=0) as file:
                st = os.fstat(file.fileno())
                key = (st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
                known = self.digests.get(rel)
                if known and known[0] == key:
                    return known[1]
                digest = hashlib.sha256()
                while True:
                    chunk = file.read(1 << 20)
                    if not chunk:
                        break
                    digest.update(chunk)
        except OSError as error:
            return os.strerror(error.errno)
        self.digests[rel] = (key, digest.hexdigest())
        return digest.hexdigest()


def differences(a, b):
    out, subsecond = [], 0
    for rel in sorted(set(a) | set(b)):
        x, y = a.get(rel), b.get(rel)
        if x is None or y is None:
            out.append({'path': text(rel), 'a': x and brief(x), 'b': y and brief(y)})
            continue
        fields = {f for f in set(x) | set(y) if x.get(f) != y.get(f)} - {'partial'}
        if x.get('partial') or y.get('partial'):
            fields -= {'nlink', 'links'}
        if 'nsec' in fields:
            subsecond += 1
            fields.discard('nsec')
        if fields:
            out.append({'path': text(rel), 'a': {f: x.get(f) for f in sorted(fields)},
                        'b': {f: y.get(f) for f in sorted(fields)}})
    return out, subsecond


def brief(record):
    return {k: v for k, v in record.items() if k in ('type', 'size', 'target', 'error')}


def both(trees, work):
    with ThreadPoolExecutor(len(trees)) as sides:
        return list(sides.map(work, trees))


def compare(trees, pools):
    def look(i):
        return trees[i].look(pools[i])
    records = both(range(2), look)
    out, subsecond = differences(*records)
    if not out:
        both(range(2), lambda i: trees[i].contents(pools[i], records[i]))
        out, subsecond = differences(*records)
    return out, subsecond, len(records[0])


def remount(point, host, volume):
    """Mounts the volume again. A client that looked up directories while another one moved them may answer ENOENT
    for one at its new place until it ends. The comparison needs what a new client sees."""
    subprocess.run(['umount', '-l', point], check=True)
    subprocess.run(['glusterfs', '--acl', '-s', host, '--volfile-id', volume, point], check=True)
    for _ in range(100):
        if subprocess.run(['stat', '-f', '-c', '%T', point], capture_output=True, text=True).stdout.startswith('fuse'):
            return
        time.sleep(0.05)
    raise SystemExit('tree.py: %s: not mounted again' % point)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('a')
    parser.add_argument('b')
    parser.add_argument('--wait', type=float, default=0)
    parser.add_argument('--poll', type=float, default=0.5)
    parser.add_argument('--ignore', default='')
    parser.add_argument('--only-utf8', action='store_true')
    parser.add_argument('--show', type=int, default=20)
    parser.add_argument('--fresh', action='append', default=[], help='POINT:HOST:VOLUME to mount again before each look but the first')
    args = parser.parse_args()
    ignore = set(filter(None, args.ignore.split(',')))
    trees = [Tree(side, ignore, args.only_utf8) for side in (args.a, args.b)]
    pools = [ThreadPoolExecutor(4), ThreadPoolExecutor(4)]
    start, looks = time.monotonic(), 0
    while True:
        began = time.monotonic()
        out, subsecond, entries = compare(trees, pools)
        looks += 1
        now = time.monotonic()
        if not out or now - start >= args.wait:
            break
        # Comparisons load the machine: they take at most half of the time.
        time.sleep(max(args.poll, min(now - began, 3)))
        for mount in args.fresh:
            remount(*mount.split(':'))
    print(json.dumps({'equal': not out, 'entries': entries, 'seconds': round(now - start, 3), 'looks': looks,
                      'subsecond': subsecond, 'total': len(out), 'differences': out[:args.show]}))
    return 1 if out else 0


if __name__ == '__main__':
    sys.exit(main())
