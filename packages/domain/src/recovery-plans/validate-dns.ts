import type { DnsAction, DnsRecordType, Endpoint } from './step-action.ts'
import { checkEndpoint, type Fault, faultsWhere, hasReference, isBlank } from './step-fault.ts'

/** RFC 2181, section 8. */
export const LONGEST_TTL_SECONDS = 2 ** 31 - 1

/** What is wrong with an update of DNS, as far as it does not depend on parameters. Pure. */
export function checkDns(action: DnsAction): readonly Fault[] {
  const { server, zone, recordName, ttlSeconds, tsig } = action
  return [
    ...checkEndpoint(action.value),
    ...checkRecordValue(action.recordType, action.value),
    ...faultsWhere([
      [
        isBlank(server) || isBlank(zone) || isBlank(recordName),
        'no-record',
        'does not say which record of which name server',
        'Give the name server, the zone and the record.',
      ],
      [
        !isWithinZone(recordName, zone),
        'outside-zone',
        `changes "${recordName}", which is not in the zone "${zone}"`,
        'Give the full name of a record within the zone.',
      ],
      [
        !Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds > LONGEST_TTL_SECONDS,
        'bad-ttl',
        'has a time to live that DNS does not allow',
        'Give 0 s or more; 60 s lets clients follow quickly.',
      ],
    ]),
    ...(tsig === null
      ? [
          {
            level: 'warning',
            code: 'dns-unsigned',
            message: 'changes DNS without a key: a name server that takes it takes it from anybody',
            remedy: 'Let the name server demand a TSIG key, and name it here.',
          } as const,
        ]
      : []),
  ]
}

/** Names that a parameter decides are left to the run. Pure. */
export function isWithinZone(recordName: string, zone: string): boolean {
  if (isBlank(recordName) || isBlank(zone) || hasReference(recordName) || hasReference(zone)) return true
  const [name, apex] = [recordName, zone].map((text) => text.trim().toLowerCase().replace(/\.$/, ''))
  return name === apex || `${name}`.endsWith(`.${apex}`)
}

/** Whether a record of this type can hold it. Pure. */
export function checkRecordValue(recordType: DnsRecordType, value: Endpoint): readonly Fault[] {
  if (value.kind === 'machine')
    return faultsWhere([
      [
        recordType === 'CNAME' || recordType === 'TXT',
        'bad-record-value',
        `puts the address of a machine into a ${recordType} record`,
        'Use an A or AAAA record, or give the text.',
      ],
    ])
  if (isBlank(value.address) || hasReference(value.address)) return []
  const fits = { A: isIpv4(value.address), AAAA: value.address.includes(':'), CNAME: true, TXT: true }
  return faultsWhere([
    [
      !fits[recordType],
      'bad-record-value',
      `puts "${value.address}" into ${recordType === 'A' ? 'an A' : 'an AAAA'} record`,
      recordType === 'A' ? 'Give an IPv4 address.' : 'Give an IPv6 address.',
    ],
  ])
}

const isIpv4 = (text: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255)
