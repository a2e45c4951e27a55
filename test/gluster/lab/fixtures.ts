// Trees and changes that several scenarios share, as bash scripts that run in a directory of the primary.

/** Every file type and attribute that both engines carry, in a directory `all`. */
export const EVERY_TYPE = `
mkdir -p all/dir/sub all/empty-dir; cd all
printf 'hello\\n' >plain; : >empty; printf x >one
printf 'mode' >mode-0400; chmod 0400 mode-0400
printf 'suid' >suid; chown 1000:100 suid; chmod 4755 suid
mkdir sticky setgid; chmod 1777 sticky; chmod 2775 setgid; chown 1000:1000 setgid
printf 'old' >old; touch -d '2001-02-03 04:05:06' old
printf 'owned' >owned; chown 65534:65534 owned
printf 'linked' >link-a; ln link-a link-b; ln link-a dir/link-c
ln -s plain symlink; ln -s nowhere/at/all dangling; ln -s /etc/hostname absolute; ln -s dir symlink-to-dir
printf 'owner' >target; ln -s target owned-symlink; chown -h 1000:100 owned-symlink
truncate -s 30M sparse; printf 'end' | dd of=sparse bs=1 seek=20000000 conv=notrunc status=none
truncate -s 1M hole-only
printf 'a' >'with space'; printf 'b' >'per%cent%20'; printf 'c' >$'new\\nline'; printf 'd' >'ünï-文字'; printf 'e' >'-dash'
printf 'f' >' lead and trail '; printf 'g' >$'quote"\\'\\\\back'; printf 'h' >"$(printf 'L%.0s' {1..255})"; printf 'i' >'*?[x]'
mkdir $'dir\\nnew'; printf 'j' >$'dir\\nnew/%0A'
d=deep; for i in {1..30}; do d=$d/$i; done; mkdir -p "$d"; printf 'bottom' >"$d/file"
`;

/** Attributes that only the rsync engine carries: user xattrs and POSIX ACLs on files. */
export const FILE_ATTRIBUTES = `
mkdir -p attrs; cd attrs
printf 'x' >xattr; setfattr -n user.comment -v 'hello world' xattr; setfattr -n user.binary -v 0x00ff10 xattr
printf 'a' >acl; setfacl -m u:1000:rw,g:100:r acl
printf 'both' >both; setfattr -n user.k -v v both; setfacl -m u:1001:rwx both
`;

/** Types that need a node of their own; they carry no data. */
export const SPECIAL_FILES = `
mkdir -p special; cd special
mkfifo fifo; chmod 0640 fifo; mknod char c 1 3; mknod block b 7 200; chown 1000:100 char
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
`;

/** User xattrs and ACLs of directories. */
export const DIRECTORY_ATTRIBUTES = `
mkdir -p dirattrs/x dirattrs/a; setfattr -n user.dir -v yes dirattrs/x; setfacl -m u:1000:rwx dirattrs/a
cd dirattrs; for d in '#recycle' ' lead' ';semi' -dash $'new\\nline' 'trail '; do mkdir -p -- "./$d/ in/#in"; find "./$d" -type d -exec setfattr -n user.dir -v odd {} +; done
`;

/** Small files in 30 directories under \`name\`. */
export function smallFiles(name: string, count: number): string {
  return `python3 - <<'END'
import os
for i in range(${count}):
    d = '${name}/%02d' % (i % 30)
    os.makedirs(d, exist_ok=True)
    with open('%s/f%05d' % (d, i), 'wb') as f: f.write(b'%d\\n' % i * (1 + i % 700))
END`;
}

/** A file of \`megabytes\` of varied content. */
export function bigFile(name: string, megabytes: number): string {
  return `openssl rand -out seed.tmp 1048576 2>/dev/null || head -c 1048576 /dev/urandom >seed.tmp
for i in {1..${megabytes}}; do printf '%08d' $i; tail -c +9 seed.tmp; done >'${name}'; rm seed.tmp`;
}

/** Every file operation on names of its own under \`name\`; \`prepare\` comes before, \`change\` while it is watched. */
export function everyOperation(name: string): { prepare: string; change: string } {
  return {
    prepare: `mkdir -p ${name}/d1/inner ${name}/d2 ${name}/d3/x; cd ${name}
for f in append truncate write chmod chown utime unlink rename over-a over-b chain link-1 move dir-file swap-a swap-b type sym; do printf "$f" >$f; done
printf deep >d1/inner/file; printf x >d3/x/y; ln link-1 link-2; ln -s append sym-old; for i in {1..20}; do printf $i >d2/f$i; done`,
    change: `cd ${name}
printf more >>append; truncate -s 2 truncate; printf XX | dd of=write bs=1 seek=2 conv=notrunc status=none
chmod 0640 chmod; chown 1000:100 chown; touch -d '2003-03-03 03:03:03' utime; unlink unlink
mv rename renamed; mv over-a over-b; mv chain chain1; mv chain1 chain2; mv chain2 chain3; printf again >chain
ln link-1 link-3; unlink link-1; printf changed >>link-2
mv move d1/inner/moved; mv d1 d2/d1; mv d2/d1/inner d3/inner; rm -r d3/x; mkdir d3/x; printf new >d3/x/y
mv swap-a swap-t; mv swap-b swap-a; mv swap-t swap-b
rm type; mkdir type; printf in >type/in; rm sym; ln -s renamed sym; ln -sfn renamed sym-old
mkdir new new/sub; printf n >new/sub/n; ln -s n new/sub/s; : >created-empty; truncate -s 5M new/sparse
mkdir gone gone/sub; printf g >gone/sub/g; rm -r gone
for i in {1..10}; do mv d2/f$i d2/g$i; done; for i in {11..20}; do rm d2/f$i; done; mv d2 d2-renamed
for i in {1..8}; do printf "try $i" >flicker; rm flicker; done; printf last >flicker
for i in {1..5}; do mkdir pulse; rmdir pulse; done; mkdir pulse
mkfifo pipe; printf t >tmpfile; mv tmpfile append-2; printf "save" >.edit.tmp; mv .edit.tmp write2; printf more >>write2`,
  };
}
