import type { HostSnapshot } from '../database/entities/host-snapshot.entity';
import type { Host } from '../database/entities/host.entity';
import { etagOf } from '../http/etag';
import { HostDto } from './host-responses.dto';
import { SnapshotDto } from './snapshots.dto';

/** The answer (201) of a request that stored a host. Headers in lower case. */
export function hostCreated(host: Host) {
  const headers = { location: `/v1/hosts/${host.id}`, etag: etagOf(host.version) };
  return { status: 201, headers, body: new HostDto(host) };
}

/** The answer (201) of a request that described a stored host anew; the ETag is the host's. */
export function snapshotCreated(host: Host, snapshot: HostSnapshot) {
  const location = `/v1/hosts/${host.id}/snapshots/${snapshot.number}`;
  const headers = { location, etag: etagOf(host.version) };
  return { status: 201, headers, body: new SnapshotDto(snapshot) };
}
