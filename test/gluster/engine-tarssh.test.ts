// The tarssh engine: first sync, history and live changes. It carries no user xattrs and no ACLs.
import { replicationScenarios } from './lab/replication-scenarios.js';

replicationScenarios('tarssh', ['xattrs', 'acls']);
