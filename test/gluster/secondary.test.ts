// This project's secondary with this project's worker and with the stock one: a whole volume and live changes arrive, and
// nothing stays mounted. With this project on both sides, names that are not UTF-8 and device numbers arrive, too.
import { describe, expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation, FILE_ATTRIBUTES, SPECIAL_FILES } from './lab/fixtures.js';
import { LIVE, waitForStock } from './lab/stock-worker.js';
import { useLab } from './lab/use-lab.js';

describe('behind a stock worker', () => {
  const lab = useLab({ config: { 'secondary-access-mount': 'true' } });

  test("a stock worker replicates to this project's secondary", async () => {
    await lab().useOwnSecondary();
    await lab().sh(everyOperation('stock').prepare);
    let worker = lab().startStockWorker();
    await lab().waitConverged(120_000);
    await worker.waitForLog(LIVE);
    await lab().sh(everyOperation('stock').change);
    // A stock worker sends no times of a file that stays empty.
    await lab().sh('printf x >>stock/created-empty');
    await waitForStock(lab(), async () => {
      await worker.stop();
      worker = lab().startStockWorker();
    });
    await worker.stop();
  });
});

describe('behind a worker of this project', () => {
  const lab = useLab();

  test('all changes arrive, including names that are not UTF-8 and device numbers', async () => {
    await lab().useOwnSecondary();
    await lab().sh(EVERY_TYPE);
    await lab().sh(FILE_ATTRIBUTES);
    await lab().sh(SPECIAL_FILES);
    await lab().sh(everyOperation('live').prepare);
    await lab().sh(`mkdir $'b\\xff'; printf x >$'b\\xff/n\\xfe'; ln -s $'t\\xfd' $'b\\xff/sym'`);
    const worker = lab().startWorker();
    await lab().waitConverged(120_000);
    await lab().sh(everyOperation('live').change);
    await lab().sh(`mv $'b\\xff' $'c\\xff'; ln -s $'u\\xfd' $'c\\xff/sym2'; printf y >$'c\\xff/later'`);
    await lab().waitConverged(120_000);
    const devices = `stat -c '%n %t %T' special/char special/block`;
    expect(await lab().sh(devices, lab().secondary)).toBe(await lab().sh(devices));
    await worker.stop();
    await lab().assertNoMountsLeft();
    expect(await lab().read('/var/log/glusterfs/geo-replication-secondaries/gv0_10.77.0.1_sv0/gsyncd.log')).toContain(
      'secondary listening',
    );
  });

  // The reason why comparisons of trees skip default ACLs (lab/tree.py). If this fails, they should compare them.
  test("GlusterFS reports success for a default ACL from a client with geo-replication's pid, and does not store it", async () => {
    await lab().gluster(['volume', 'set', 'sv0', 'features.read-only', 'off']);
    await lab().mount('sv0', '/mnt/as-gsyncd', ['--acl', '--client-pid=-1']);
    await lab().mount('sv0', '/mnt/as-user', ['--acl']);
    await lab().sh('mkdir acl-of-gsyncd acl-of-user', '/mnt/as-user');
    await lab().sh('setfacl -d -m u:1000:rwx acl-of-gsyncd; setfacl -m u:1000:rwx acl-of-gsyncd', '/mnt/as-gsyncd');
    await lab().sh('setfacl -d -m u:1000:rwx acl-of-user; setfacl -m u:1000:rwx acl-of-user', '/mnt/as-user');
    const acls = async (name: string): Promise<string> => lab().sh(`getfacl -cnp ${name}`, '/srv/sv0_1');
    expect(await acls('acl-of-user')).toMatch(/^user:1000:rwx$[^]*^default:user:1000:rwx$/m);
    expect(await acls('acl-of-gsyncd')).toMatch(/^user:1000:rwx$/m);
    expect(await acls('acl-of-gsyncd')).not.toContain('default:');
  });
});
