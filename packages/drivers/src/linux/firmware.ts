// What the firmware of this server says of it (SMBIOS, DSP0134), as the kernel shows it.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isOwnFirmwareId, type ServerHardware, tellsApart } from '@understudy/domain/agents/server-hardware'
import { runOfMark } from '@understudy/domain/failover/replica-mark'
import { readWholeDisks } from './block-devices.ts'

export const SYSFS = '/sys'

const LONGEST_MODEL = 200
const MOST_NAMES = 256

/** What cannot be read, or is not there, is left out: without root that is most of it. `sysfs`: for tests. */
export async function readServerHardware(sysfs: string = SYSFS): Promise<ServerHardware> {
  const say = (name: string): Promise<string | null> => readText(join(sysfs, 'class/dmi/id', name))
  const [vendor, product, id, ...serials] = await Promise.all(
    ['sys_vendor', 'product_name', 'product_uuid', 'product_serial', 'board_serial', 'chassis_serial'].map(
      say,
    ),
  )
  const model = [vendor, product].filter((part) => part !== null && part !== undefined).join(' ')
  const disks = await readWholeDisks(null).catch(() => [])
  return {
    model: model === '' ? null : model.slice(0, LONGEST_MODEL),
    firmwareId: id && isOwnFirmwareId(id) ? digestOf('firmware', id.toLowerCase()) : null,
    // Asset tags are left alone: clouds give all their machines the same one.
    serials: digests('serial', serials),
    disks: digests(
      'disk',
      disks.map(({ wwn, serial }) => wwn ?? serial),
    ),
  }
}

const digests = (kind: string, texts: readonly (string | null | undefined)[]): readonly string[] =>
  [
    ...new Set(
      texts
        .filter((text) => text != null)
        .filter(tellsApart)
        .map((text) => digestOf(kind, text)),
    ),
  ]
    .sort()
    .slice(0, MOST_NAMES)

const digestOf = (kind: string, text: string): string =>
  createHash('sha256').update(`understudy ${kind} ${text}`).digest('hex').slice(0, 32)

/**
 * The run that has made this machine of a recovery point. Null: it is none of ours. Only root may read it; Azure has no place for it, there
 * the hardware tells.
 */
export async function readReplicaMark(sysfs: string = SYSFS): Promise<string | null> {
  const tables = await readFile(join(sysfs, 'firmware/dmi/tables/DMI')).catch(() => null)
  if (tables !== null) return runOfMark(oemStringsOf(tables))
  // Before Linux 4.2, or where the tables are not given away as a whole.
  const folder = join(sysfs, 'firmware/dmi/entries')
  const entries = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('11-'))
  const texts = await Promise.all(
    entries.map((name) => readFile(join(folder, name, 'raw')).catch(() => null)),
  )
  return runOfMark(texts.flatMap((raw) => (raw === null ? [] : oemStringsOf(raw))))
}

const OEM_STRINGS = 11
const END_OF_TABLE = 127
const HEADER_BYTES = 4

/**
 * The texts of all structures of type 11. Pure.
 *
 *     type u8, length u8, handle u16, ... up to length, then texts that end with a zero each, then one more zero
 */
export function oemStringsOf(tables: Buffer): readonly string[] {
  const found: string[] = []
  let at = 0
  while (at + HEADER_BYTES <= tables.length) {
    const type = tables[at] ?? END_OF_TABLE
    const length = tables[at + 1] ?? 0
    if (type === END_OF_TABLE || length < HEADER_BYTES) break
    const end = tables.indexOf('\0\0', at + length, 'latin1')
    const stop = end < 0 ? tables.length : end
    if (type === OEM_STRINGS)
      found.push(
        ...tables
          .toString('utf8', at + length, stop)
          .split('\0')
          .filter((text) => text !== ''),
      )
    if (end < 0) break
    at = end + 2
  }
  return found
}

const readText = async (path: string): Promise<string | null> => {
  const text = (await readFile(path, 'utf8').catch(() => '')).trim()
  return text === '' ? null : text
}
