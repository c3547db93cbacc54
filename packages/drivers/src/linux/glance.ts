// What of this server shows that its inventory has to be read again. Read every few seconds, so it starts no program and wakes no disk.
import { readdir, readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { SYSFS } from './firmware.ts'

/** Equal texts: nothing of it has changed. */
export async function glance(sysfs: string = SYSFS): Promise<string> {
  const disks = await readEach(join(sysfs, 'block'), ['diskseq', 'size', 'ro'])
  const adapters = await readEach(join(sysfs, 'class/net'), ['ifindex', 'address'])
  const addresses = Object.entries(networkInterfaces()).map(([name, all]) => [
    name,
    (all ?? []).map(({ cidr, address }) => cidr ?? address).sort(),
  ])
  return JSON.stringify([hostname(), disks, adapters, addresses])
}

/** Those that are made of memory or files, and come and go with what runs. */
const PASSING = /^(?:ram|zram|nbd|veth|vnet|tap)/

async function readEach(folder: string, names: readonly string[]): Promise<readonly string[][]> {
  const entries = (await readdir(folder).catch(() => [])).filter((entry) => !PASSING.test(entry)).sort()
  return await Promise.all(
    entries.map(async (entry) => [
      entry,
      ...(await Promise.all(
        names.map((name) => readFile(join(folder, entry, name), 'latin1').catch(() => '')),
      )),
    ]),
  )
}
