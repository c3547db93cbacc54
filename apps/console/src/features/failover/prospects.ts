// What the steps after a failover mean, from what is known of it. Pure.
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import { formatCount, formatDuration, formatWithZone } from '../../lib/format.ts'

export type Prospect = {
  readonly label: string
  readonly value: string
  readonly note: string
  readonly isLoss?: boolean
}

type Facts = {
  readonly protection: Pick<
    Protection,
    'source' | 'target' | 'failover' | 'lastRecoverySeconds' | 'pointCount'
  >
  /** Of the point that is chosen. */
  readonly pointInstant: string | null
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Nothing for an action that the server foresees itself, or that touches no data. */
export function prospectsOf(action: ProtectionAction, facts: Facts): readonly Prospect[] {
  const { source, target, failover, pointCount } = facts.protection
  switch (action) {
    case 'change-point':
      return [
        lossSince(
          facts.pointInstant,
          facts.now,
          'all that was written since the point, before and after the failover',
        ),
        recovery(facts),
        {
          label: 'Runs now from',
          value: failover ? formatWithZone(failover.pointInstant) : 'not known',
          note: `at ${target.name}; it is switched off first`,
        },
      ]
    case 'roll-back':
      return [
        lossSince(
          failover?.startedAt ?? null,
          facts.now,
          `all that was written at ${target.name} since the failover`,
        ),
        { label: 'Runs then at', value: source.name, note: 'the original goes on where it was stopped' },
        {
          label: 'Answers after about',
          value: 'one boot',
          note: 'of the original; nothing has to be copied',
        },
      ]
    case 'commit':
      return [
        { label: 'Data loss', value: 'none', note: 'what was written since the failover stays' },
        { label: 'Runs for good at', value: target.name, note: 'it goes on running meanwhile' },
        { label: 'Protected', value: 'no', note: 'until you reprotect it, in the other direction' },
      ]
    case 'reprotect':
      return [
        { label: 'Data loss', value: 'none', note: 'the machine goes on running meanwhile' },
        {
          label: 'Recovery points of now',
          value: pointCount === 0 ? 'none' : `${formatCount(pointCount)} are deleted`,
          note: `with the former replica at ${target.name}; the one that the failover came from goes along to ${source.name}`,
          isLoss: pointCount > 0,
        },
        { label: 'Replicates then', value: `${target.name} → ${source.name}`, note: 'the other way round' },
        {
          label: 'Takes about',
          value: 'one copy',
          note: 'of what differs, or of everything where no common point is left; the job shows how long',
        },
      ]
    default:
      return []
  }
}

const lossSince = (since: string | null, now: number, note: string): Prospect => ({
  label: 'Data loss',
  value: since === null ? 'not known' : formatDuration(Math.max(0, (now - Date.parse(since)) / 1000)),
  note,
  isLoss: true,
})

const recovery = ({ protection: { lastRecoverySeconds } }: Facts): Prospect => ({
  label: 'Answers after about',
  value: lastRecoverySeconds === null ? 'not measured' : formatDuration(lastRecoverySeconds),
  note:
    lastRecoverySeconds === null
      ? 'a test failover measures it'
      : 'measured in the last test or failover of this machine',
})
