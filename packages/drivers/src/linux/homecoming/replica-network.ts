// Takes away what the first-boot step (preparation/first-boot.ts) has written in the replica: on the server itself that step does nothing, but these
// files would go on to set addresses of the other site, for adapters that have the hardware address of the server's own.
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** By folder; as the script names them. */
export const REPLICA_NETWORK_FILES = [
  ['etc/systemd/network', /^05-understudy-.*\.network$/],
  ['etc/network/interfaces.d', /^understudy-/],
  ['etc/NetworkManager/system-connections', /^understudy-.*\.nmconnection$/],
  ['etc/netplan', /^90-understudy-.*\.yaml$/],
] as const

export async function removeReplicaNetwork(root: string): Promise<readonly string[]> {
  const removed: string[] = []
  for (const [folder, pattern] of REPLICA_NETWORK_FILES)
    for (const name of await readdir(join(root, folder)).catch(() => [])) {
      if (!pattern.test(name)) continue
      await rm(join(root, folder, name))
      removed.push(`/${folder}/${name}`)
    }
  if (removed.length === 0) return []
  const changes = [`The addresses of the replica were taken away: ${removed.join(', ')}`]
  // The step writes it where nobody else does, and has kept nothing of what was there.
  const resolver = await stat(join(root, 'etc/resolv.conf')).catch(() => null)
  if (resolver?.isFile())
    changes.push(
      'To do by a person: /etc/resolv.conf may have the name servers of the other site; see that it is right',
    )
  return changes
}
