// A record set of a DNS zone of Azure, as a whole. What else is noted on it stays.
import { Refusal } from '@understudy/base/errors'
import type { RecordSet } from '@understudy/engine/ports/cloud-services'
import type { RecordAddress, RecordDocument, ServiceCalls, Within, ZoneType } from './service-calls.ts'
import {
  aliasRecord,
  changedMeanwhile,
  notAsAsked,
  notThere,
  recordConflict,
  registeredRecord,
} from './service-failures.ts'

const TRIES = 5

/** May be repeated: what is so already is left alone. */
export async function setRecords(
  calls: ServiceCalls,
  within: Within,
  records: Omit<RecordSet, 'resourceGroup'>,
  signal: AbortSignal,
): Promise<string> {
  const { zone, zoneKind, name, type, ttlSeconds, values } = records
  const zoneType: ZoneType = zoneKind === 'public' ? 'dnsZones' : 'privateDnsZones'
  if (!(await calls.hasZone({ ...within, zoneType, zone }, signal)))
    throw notThere('no-zone', `${zoneKind} DNS zone ${zone}`, within.resourceGroup)
  const at: RecordAddress = { ...within, zoneType, zone, type, name }
  const label = `${name === '@' ? zone : `${name}.${zone}`} ${type}`
  const is = `${label} is ${values.join(', ')} with a time to live of ${ttlSeconds} s`
  const wanted = { ttlSeconds, values }
  for (let tries = 0; tries < TRIES; tries += 1) {
    const before = await calls.record(at, signal)
    if (before !== null) refuseOthers(before, label)
    if (before !== null && isSo(read(before, at), wanted)) return `${is}; so it was already`
    const properties = { ...keptOf(before), ...written(at, wanted) }
    const condition = { mark: before === null ? null : (before.etag ?? '*') }
    const after = await calls.putRecord(at, properties, condition, signal).catch((error: unknown) => {
      throw toConflict(error, label)
    })
    if (after === null) continue
    const now = read(after, at)
    if (!isSo(now, wanted))
      throw notAsAsked(label, `${now.values.join(', ') || 'empty'} (${now.ttlSeconds} s)`)
    return is
  }
  throw changedMeanwhile(label)
}

type Records = Pick<RecordSet, 'ttlSeconds' | 'values'>

/** Both kinds of zones mean the same, and write it differently. */
const fieldsOf = {
  dnsZones: { ttl: 'TTL', A: 'ARecords', AAAA: 'AAAARecords', CNAME: 'CNAMERecord' },
  privateDnsZones: { ttl: 'ttl', A: 'aRecords', AAAA: 'aaaaRecords', CNAME: 'cnameRecord' },
} as const

function written({ zoneType, type }: RecordAddress, { ttlSeconds, values }: Records) {
  const fields = fieldsOf[zoneType]
  const content = {
    A: () => values.map((ipv4Address) => ({ ipv4Address })),
    AAAA: () => values.map((ipv6Address) => ({ ipv6Address })),
    CNAME: () => ({ cname: values[0] }),
  }[type]()
  return { [fields.ttl]: ttlSeconds, [fields[type]]: content }
}

function read({ properties = {} }: RecordDocument, { zoneType, type }: RecordAddress): Records {
  const fields = fieldsOf[zoneType]
  const content = properties[fields[type]] as
    | Readonly<Record<string, string>>
    | readonly Readonly<Record<string, string>>[]
    | undefined
  const rows = content === undefined ? [] : Array.isArray(content) ? content : [content]
  return {
    ttlSeconds: Number(properties[fields.ttl] ?? 0),
    values: rows.flatMap((row: Readonly<Record<string, string>>) => Object.values(row)),
  }
}

/** Azure may tell them in another order, and writes addresses in its own way. */
const isSo = (is: Records, wanted: Records): boolean =>
  is.ttlSeconds === wanted.ttlSeconds && told(is) === told(wanted)
const told = ({ values }: Records): string => values.map(plain).toSorted().join()
function plain(value: string): string {
  const text = value.toLowerCase().replace(/\.$/, '')
  return text.includes(':') ? (URL.parse(`http://[${text}]/`)?.hostname ?? text) : text
}

const keptOf = (before: RecordDocument | null): Readonly<Record<string, unknown>> =>
  before?.properties?.metadata === undefined ? {} : { metadata: before.properties.metadata }

function refuseOthers({ properties = {} }: RecordDocument, label: string): void {
  const alias = (properties.targetResource as { readonly id?: string } | undefined)?.id
  if (alias !== undefined && alias !== '') throw aliasRecord(label, alias)
  if (properties.isAutoRegistered === true) throw registeredRecord(label)
}

/** Azure has no name of its own for this one. */
function toConflict(error: unknown, label: string): unknown {
  if (!(error instanceof Refusal)) return error
  const detail = String(error.facts.detail ?? '')
  return /already exists/i.test(detail) && /CNAME|same name/i.test(detail)
    ? recordConflict(label, detail)
    : error
}
