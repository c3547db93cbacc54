// By what hardware a server is known again. Its machine id lies on its disks, so every copy of them has the same one; the hardware does not
// go with a copy. Pure.
import type { Instant } from '@understudy/base/instant'

export type ServerHardware = {
  /** Maker and model, as the firmware names them. */
  readonly model: string | null
  /** Digest of the UUID of the firmware. Null: it has none, or one that many have. */
  readonly firmwareId: string | null
  /** Digests of what else the firmware says of this one computer: product, board, chassis. */
  readonly serials: readonly string[]
  /** Digests of the names that disks have of themselves. */
  readonly disks: readonly string[]
}

/** Hardware that an agent came from and was refused for, until a person says that it is the same server. */
export type OtherHardware = {
  readonly hardware: ServerHardware
  readonly hostName: string
  readonly why: string
  /** When it came first. */
  readonly at: Instant
}

export const unknownHardware: ServerHardware = { model: null, firmwareId: null, serials: [], disks: [] }

export type HardwareVerdict = { readonly same: true } | { readonly same: false; readonly why: string }

type Likeness = 'same' | 'other' | 'unknown'

/**
 * Whether a server that comes with `now` may be the one that was known by `known`. A part that was replaced is no other server: one disk of
 * several, the board with its disks behind the same serial numbers. Where it cannot be told it is another one, for a copy that is
 * taken for its original ruins replicas, and a person can say that it is the same (see `agent/other-server`).
 */
export function judgeHardware(known: ServerHardware, now: ServerHardware): HardwareVerdict {
  if (isUnknown(known)) return SAME
  const model = ofTexts(known.model, now.model)
  const firmware = ofTexts(known.firmwareId, now.firmwareId)
  const serials = ofSets(known.serials, now.serials)
  const disks = ofSets(known.disks, now.disks)
  const models = model === 'other' ? `: it was ${known.model}, and is ${now.model}` : ''
  const other = (why: string): HardwareVerdict => ({ same: false, why: `${why}${models}` })

  switch (firmware) {
    case 'same':
      // Boards of one series may share an id that nobody has on a list yet; then nothing else agrees.
      if (disks !== 'other' || serials === 'same') return SAME
      return other(`its ${serials === 'other' ? 'serial numbers and disks' : 'disks'} are others`)
    case 'other':
      // An update of the firmware may write the same id another way.
      return serials === 'same' && disks !== 'other' ? SAME : other('the id of its firmware is another one')
    case 'unknown':
      break
  }
  if (serials === 'other') return other('its serial numbers are others')
  if (serials === 'same') return disks === 'other' && model === 'other' ? other('its disks are others') : SAME
  if (disks === 'other') return other('its disks are others')
  if (disks === 'same') return model === 'other' ? other('its maker or model is another one') : SAME
  const knewMore = known.firmwareId !== null || known.serials.length > 0 || known.disks.length > 0
  if (knewMore || model !== 'same') return other('nothing of what it was known by is there')
  return SAME
}

const SAME: HardwareVerdict = { same: true }

const isUnknown = ({ model, firmwareId, serials, disks }: ServerHardware): boolean =>
  model === null && firmwareId === null && serials.length === 0 && disks.length === 0

/** What is known of the same server now: parts are replaced one by one, and what cannot be read just now is not forgotten. */
export const withNewest = (known: ServerHardware, now: ServerHardware): ServerHardware => ({
  model: now.model ?? known.model,
  firmwareId: now.firmwareId ?? known.firmwareId,
  serials: now.serials.length > 0 ? now.serials : known.serials,
  disks: now.disks.length > 0 ? now.disks : known.disks,
})

const ofTexts = (one: string | null, other: string | null): Likeness =>
  one === null || other === null ? 'unknown' : one === other ? 'same' : 'other'

const ofSets = (one: readonly string[], other: readonly string[]): Likeness => {
  if (one.length === 0 || other.length === 0) return 'unknown'
  return one.some((each) => other.includes(each)) ? 'same' : 'other'
}

/** What firmware and emulated disks say where nobody has filled it in. */
const FILLERS = [
  /^(?:none|null|unknown|n\/a|invalid|oem|empty|serial|test.*)$/i,
  /^not ?(?:specified|settable|applicable|available|present|provided)$/i,
  /^default ?string$/i,
  /filled by o\.?e\.?m/i,
  /^to be filled/i,
  /^(?:system|chassis|base ?board|product|board|serial) ?(?:serial ?)?(?:number|no\.?)$/i,
  /^0?1234567/,
  // QEMU, Proxmox, Google: they count the disks of each machine anew.
  /^QM\d+$/,
  /^drive-/,
  /^persistent-disk-/,
]

/** Whether a serial number or the name of a disk tells one from another. */
export function tellsApart(text: string): boolean {
  const plain = text.trim()
  const characters = plain.replace(/[^A-Za-z0-9]/g, '')
  return (
    characters.length >= 4 && new Set(characters).size > 1 && !FILLERS.some((filler) => filler.test(plain))
  )
}

/** Those that whole series of boards were sold with. */
const SHARED_IDS = new Set([
  '00020003-0004-0005-0006-000700080009',
  '01234567-8910-1112-1314-151617181920',
  '03000200-0400-0500-0006-000700080009',
  '10000000-0000-8000-0040-000000000000',
  '11111111-2222-3333-4444-555555555555',
  '12345678-1234-5678-90ab-cddeefaabbcc',
  '12345678-1234-5678-1234-567812345678',
  '4c4c4544-0000-2010-8020-80c04f202020',
  'fefefefe-fefe-fefe-fefe-fefefefefefe',
])

/** Whether a UUID of firmware is one that only this computer has: all zeros, ones and the like are not, nor are those of whole series. */
export function isOwnFirmwareId(text: string): boolean {
  const id = text.trim().toLowerCase()
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) || SHARED_IDS.has(id)) return false
  const bytes = id.replaceAll('-', '').match(/../g) ?? []
  // A random one has about fifteen different ones among its sixteen.
  return new Set(bytes).size >= 5
}
