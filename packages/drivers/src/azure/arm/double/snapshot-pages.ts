// The pages of snapshots over HTTP, as Azure's storage shows them: each is a fixed VHD, read by ranges, and compared with an earlier one.
// Source: "Get Blob" and "Get Page Ranges" of the REST API of blobs; `x-ms-previous-snapshot-url` is for snapshots of managed disks.
import { randomUUID } from 'node:crypto'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { isZero } from '@understudy/block/zero-detection'
import { FOOTER_BYTES, vhdFooter } from '../../vhd-footer.ts'
import {
  ArmError,
  type DiskContent,
  type DoubleAnswer,
  type DoubleRequest,
  type DoubleSite,
  type Resource,
} from './double-parts.ts'

const FOLDER = '/md-snapshots/'
const PAGE = 512
const VERSION = '2019-07-07'

export const isAboutPages = (path: string): boolean => path.startsWith(FOLDER)

export const addressOfPages = ({ properties, signature }: Resource): string =>
  `${FOLDER}${properties.uniqueId}/abcd?sv=${VERSION}&sr=b&sig=${signature}`

export async function answerAboutPages(
  site: DoubleSite,
  request: DoubleRequest,
  url: URL,
): Promise<DoubleAnswer> {
  try {
    return await answer(site, request, url)
  } catch (error) {
    if (!(error instanceof ArmError)) throw error
    // The storage speaks XML, and says the name of an error in a header as well.
    const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${error.code}</Code><Message>${error.message}</Message></Error>`
    return answerOf(error.status, body, { 'content-type': 'application/xml', 'x-ms-error-code': error.code })
  }
}

async function answer(site: DoubleSite, { method, headers }: DoubleRequest, url: URL): Promise<DoubleAnswer> {
  if (method !== 'GET') throw new ArmError(405, 'UnsupportedHttpVerb', 'The verb is not supported.')
  const content = vhdOf(signed(site, url))
  const asked = /^bytes=(\d+)-(\d+)$/.exec(headers['x-ms-range'] ?? headers.range ?? '')
  const range = asked === null ? { offset: 0, bytes: content.bytes } : toRange(asked)
  if (range.offset >= content.bytes) throw new ArmError(416, 'InvalidRange', 'The range is invalid.')
  const bytes = Math.min(range.bytes, content.bytes - range.offset)
  if (url.searchParams.get('comp') !== 'pagelist')
    return answerOf(asked === null ? 200 : 206, await content.read(range.offset, bytes), {
      'content-type': 'application/octet-stream',
    })
  if (range.offset % PAGE !== 0 || bytes % PAGE !== 0)
    throw new ArmError(416, 'InvalidPageRange', 'The page range specified is invalid.')
  const earlier = headers['x-ms-previous-snapshot-url']
  const before = earlier === undefined ? null : vhdOf(comparable(site, url, earlier))
  const start = Math.max(range.offset, Number(url.searchParams.get('marker') ?? 0))
  const rest = { offset: start, bytes: range.offset + bytes - start }
  return listOf(await firstPages(content, before, rest, site.listRanges), content.bytes)
}

const toRange = ([, start, end]: RegExpExecArray): Extent => ({
  offset: Number(start),
  bytes: Number(end) - Number(start) + 1,
})

function signed(site: DoubleSite, url: URL): Resource {
  const id = url.pathname.slice(FOLDER.length).split('/')[0]
  const found = [...site.resources.values()].find(({ properties }) => properties.uniqueId === id)
  if (found?.signature === undefined || found.signature !== url.searchParams.get('sig'))
    throw new ArmError(403, 'AuthenticationFailed', 'Server failed to authenticate the request.')
  return found
}

function comparable(site: DoubleSite, url: URL, earlier: string): Resource {
  const before = signed(site, new URL(earlier))
  const now = signed(site, url)
  const { incrementalSnapshotFamilyId: family } = now.properties
  if (before.properties.incrementalSnapshotFamilyId !== family)
    throw new ArmError(409, 'BlobOverwritten', 'The snapshots are of different families.')
  if (before.properties.timeCreated > now.properties.timeCreated)
    throw new ArmError(400, 'InvalidHeaderValue', 'The previous snapshot is newer.')
  return before
}

/** The disk and its footer. */
function vhdOf({ content: given, properties }: Resource): Pick<DiskContent, 'bytes' | 'read'> {
  const content = present(given, 'a snapshot that is read has content')
  const id = Buffer.from(String(properties.uniqueId).replaceAll('-', ''), 'hex')
  return {
    bytes: content.bytes + FOOTER_BYTES,
    async read(offset, bytes) {
      const ofDisk = Math.max(0, Math.min(bytes, content.bytes - offset))
      const data = ofDisk === 0 ? Buffer.alloc(0) : await content.read(offset, ofDisk)
      if (ofDisk === bytes) return data
      const footer = content.bytes % MiB === 0 ? vhdFooter(content.bytes, id) : Buffer.alloc(FOOTER_BYTES, 1)
      const start = offset + ofDisk - content.bytes
      return Buffer.concat([data, footer.subarray(start, start + bytes - ofDisk)])
    },
  }
}

type Told = Extent & { readonly name: 'PageRange' | 'ClearRange' }
type Pages = {
  readonly told: readonly Told[]
  /** Where to go on, or null: that is all. */
  readonly next: number | null
}

/**
 * The first `most` ranges. Azure tells of writes, this of bytes: what was written with the same is not told.
 */
async function firstPages(
  now: Pick<DiskContent, 'bytes' | 'read'>,
  before: Pick<DiskContent, 'bytes' | 'read'> | null,
  { offset, bytes }: Extent,
  most: number,
): Promise<Pages> {
  const found: Told[] = []
  for (let at = offset; at < offset + bytes; at += MiB) {
    const length = Math.min(MiB, offset + bytes - at)
    const [data, old] = [await now.read(at, length), await readPadded(before, at, length)]
    if (!data.equals(old)) found.push(...changesOf(data, old, at))
    if (found.length > most) break
  }
  const told = found.slice(0, most)
  const last = told.at(-1)
  return { told, next: last !== undefined && found.length > most ? last.offset + last.bytes : null }
}

/** Of one piece; neighbours that are alike are one range. */
function changesOf(data: Buffer, old: Buffer, offset: number): readonly Told[] {
  const found: Told[] = []
  for (let page = 0; page < data.length; page += PAGE) {
    const piece = data.subarray(page, page + PAGE)
    if (piece.equals(old.subarray(page, page + PAGE))) continue
    const name = isZero(piece) ? 'ClearRange' : 'PageRange'
    const at = offset + page
    const last = found.at(-1)
    if (last?.name === name && last.offset + last.bytes === at)
      found[found.length - 1] = { ...last, bytes: last.bytes + PAGE }
    else found.push({ name, offset: at, bytes: PAGE })
  }
  return found
}

async function readPadded(
  from: Pick<DiskContent, 'bytes' | 'read'> | null,
  offset: number,
  bytes: number,
): Promise<Buffer> {
  const there = from === null ? 0 : Math.max(0, Math.min(bytes, from.bytes - offset))
  const data = from === null || there === 0 ? Buffer.alloc(0) : await from.read(offset, there)
  return Buffer.concat([data, Buffer.alloc(bytes - there)])
}

/** Ranges name their last byte. */
function listOf({ told, next }: Pages, bytes: number): DoubleAnswer {
  const ranges = told.map(
    (one) =>
      `<${one.name}><Start>${one.offset}</Start><End>${one.offset + one.bytes - 1}</End></${one.name}>`,
  )
  const body = `<?xml version="1.0" encoding="utf-8"?><PageList>${ranges.join('')}<NextMarker>${next ?? ''}</NextMarker></PageList>`
  return answerOf(200, body, {
    'content-type': 'application/xml',
    'x-ms-blob-content-length': `${bytes}`,
  })
}

const answerOf = (
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>,
): DoubleAnswer => ({ status, headers: { 'x-ms-request-id': randomUUID(), ...headers }, body })
