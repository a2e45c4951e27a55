// The installed gsyncd.conf of GlusterFS 11.1, byte for byte the same as 10.3's, against the option table. The samples of
// `volume info` are in volinfo.test.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkSetting } from '../../src/config/check-setting.js';
import { loadConfig } from '../../src/config/config.js';
import { IniFile } from '../../src/config/ini.js';
import { findOption, optionSpec } from '../../src/config/options.js';
import { Settings } from '../../src/config/settings.js';
import { sessionTemplateArgs } from '../../src/config/template.js';

const FILE = join(import.meta.dirname, '..', 'fixtures', 'gsyncd-conf', 'v11.conf');
const templateArgs = sessionTemplateArgs({
  primary: 'gv0',
  secondaryUser: 'root',
  secondaryHost: 'dr.example',
  secondaryVolume: 'sv0',
  localPath: '/d/b1',
});
const ini = IniFile.parse(readFileSync(FILE, 'utf8'), FILE);
const sections = ini.sections().filter((section) => section !== '__meta__');

describe('gsyncd.conf of GlusterFS 11', () => {
  it('is read without a warning, with its defaults', () => {
    const config = loadConfig({ defaultsFile: FILE, templateArgs });
    expect(config.warnings).toEqual([]);
    expect(config.get('secondary-gluster-command-dir')).toBe('/usr/sbin');
    expect(config.get('secondary-gluster-params')).toBe('aux-gfid-mount acl');
    expect(config.get('max-rsync-retries')).toBe(10);
    expect(config.get('sync-acls')).toBe(true);
    expect(config.get('isolated-secondarys')).toBe('');
    expect(config.get('secondary-log-file')).toBe(
      '/var/log/glusterfs/geo-replication-secondaries/gv0_dr.example_sv0/gsyncd.log',
    );
    expect(config.get('pid-file')).toBe('/var/run/gluster/gsyncd-gv0-dr.example-sv0.pid');
    expect(config.origin('sync-jobs')).toEqual({ text: '3', where: `${FILE}:${String(lineAfter('[sync-jobs]'))}` });
  });

  // The daemon of GlusterFS 11 adds -caes128-ctr to rsync's ssh; the file does not contain it.
  it('names no cipher', () => {
    const config = loadConfig({ defaultsFile: FILE, templateArgs });
    const key = (name: string): string =>
      `-oPasswordAuthentication=no -oStrictHostKeyChecking=no -i /var/lib/glusterd/geo-replication/${name}.pem`;
    expect([config.get('ssh-options'), config.get('ssh-options-tar'), config.get('rsync-ssh-options')]).toEqual([
      key('secret'),
      key('tar_ssh'),
      '',
    ]);
  });

  it.each(sections)('%s: has the default, type and limits of the option table', (section) => {
    const name = findOption(section);
    if (name === undefined) throw new Error('not in the option table');
    const spec = optionSpec(name);
    const found = (key: string): string | undefined => ini.get(section, key);
    expect([spec.value, spec.template ?? false, spec.configurable ?? true]).toEqual([
      found('value') ?? '',
      found('template') === 'true',
      found('configurable') !== 'false',
    ]);
    if (found('type') !== undefined) expect(spec.type).toBe(found('type'));
    if (found('allowed_values') !== undefined)
      expect('allowed' in spec && spec.allowed.join(',')).toBe(found('allowed_values'));
    if (found('min') !== undefined)
      expect('min' in spec && [String(spec.min), String(spec.max)]).toEqual([found('min'), found('max')]);
  });

  it('has the options that glusterd 11 reads, including state_socket_unencoded', () => {
    expect(sections).toHaveLength(71);
    const settings = new Settings(FILE, undefined, templateArgs);
    expect(settings.get('state_socket_unencoded')).toBe('');
    expect(settings.get('state-file')).toBe('/var/lib/glusterd/geo-replication/gv0_dr.example_sv0/monitor.status');
    expect(settings.get('georep-session-working-dir')).toBe('/var/lib/glusterd/geo-replication/gv0_dr.example_sv0/');
  });

  it.each([
    ['sync-jobs', '100', 'good'],
    ['sync-jobs', '101', 'invalid'],
    ['sync-method', 'tarssh', 'good'],
    ['sync-method', 'scp', 'invalid'],
    ['slave-timeout', '5', 'unknown'],
  ])('checkSetting() of %s = %s returns %s', (name, value, verdict) => {
    expect(checkSetting(new Settings(FILE, undefined, templateArgs), name, value)).toBe(verdict);
  });
});

function lineAfter(text: string): number {
  return readFileSync(FILE, 'utf8').split('\n').indexOf(text) + 2;
}
