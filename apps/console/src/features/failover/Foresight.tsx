// What an action costs, before it is asked for: as the server foresees it, or as what is known of the failover says it.
import { SimpleGrid } from '@mantine/core'
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import type { ReactNode } from 'react'
import { formatDuration } from '../../lib/format.ts'
import { Stat } from '../../ui/Stat.tsx'
import { useNow } from '../../ui/use-now.ts'
import { prospectsOf } from './prospects.ts'
import type { Preview, SourcePower } from './source-power.ts'

type PreviewKind = 'test' | 'planned' | 'unplanned' | 'fail-back'

type ForesightProps = {
  readonly protection: Protection
  readonly kind: PreviewKind
  readonly preview: Preview | undefined
}

/** Expected loss and time, with what they rest on. */
export function Foresight({ protection, kind, preview }: ForesightProps) {
  useNow(1000)
  const loss = preview?.expectedLossSeconds ?? null
  const isTest = kind === 'test'
  return (
    <Figures count={isTest ? 2 : 3}>
      <Stat
        label={isTest ? 'Age of the point' : 'Data loss'}
        value={
          preview === undefined
            ? '…'
            : loss === null
              ? 'not known'
              : loss === 0
                ? 'none'
                : formatDuration(loss)
        }
        ink={loss !== null && loss > protection.lagTargetSeconds && !isTest ? 'var(--at-risk)' : 'var(--ink)'}
        note={isTest ? 'a test loses nothing' : loss === 0 ? noLoss : 'what was written since the point'}
      />
      <Stat
        label="Answers after about"
        value={
          preview === undefined
            ? '…'
            : preview.expectedRecoverySeconds === null
              ? 'not measured'
              : formatDuration(preview.expectedRecoverySeconds)
        }
        note={preview?.expectedRecoveryBasis}
      />
      {!isTest && (
        <Stat
          label={kind === 'fail-back' ? `The machine at ${protection.source.name} is` : 'The original is'}
          value={preview === undefined ? '…' : wordsOfSource[preview.sourcePower]}
          note={preview && noteOfSource(preview.sourcePower, kind)}
        />
      )}
    </Figures>
  )
}

type ProspectsProps = {
  readonly action: ProtectionAction
  readonly protection: Protection
  readonly pointInstant: string | null
}

/** For the steps after a failover, which need no question to a site: what is thrown away, and what runs where then. */
export function Prospects({ action, protection, pointInstant }: ProspectsProps) {
  const now = useNow(1000)
  const prospects = prospectsOf(action, { protection, pointInstant, now })
  if (prospects.length === 0) return null
  return (
    <Figures count={prospects.length}>
      {prospects.map(({ label, value, note, isLoss }) => (
        <Stat
          key={label}
          label={label}
          value={value}
          note={note}
          ink={isLoss ? 'var(--at-risk)' : 'var(--ink)'}
        />
      ))}
    </Figures>
  )
}

function Figures({ count, children }: { readonly count: number; readonly children: ReactNode }) {
  return (
    <SimpleGrid
      cols={{ base: 1, xs: count > 3 ? 2 : count }}
      spacing="sm"
      p="sm"
      style={{ border: '1px solid var(--line)', borderRadius: 'var(--mantine-radius-md)' }}
    >
      {children}
    </SimpleGrid>
  )
}

const noLoss = 'what it wrote last is shipped before it starts there'

const wordsOfSource: Record<SourcePower, string> = {
  running: 'running',
  paused: 'paused',
  off: 'off',
  unknown: 'not known',
  unreachable: 'unreachable',
}

function noteOfSource(power: SourcePower, kind: PreviewKind): string {
  switch (power) {
    case 'running':
      return kind === 'unplanned' ? 'it is switched off first' : 'it is shut down first'
    case 'paused':
      return 'it is switched off first'
    case 'off':
      return 'no second copy can run'
    case 'unknown':
      return 'you are asked if it cannot be proven down'
    case 'unreachable':
      return kind === 'unplanned' ? 'you are asked before the copy starts' : 'it has to be reached for this'
  }
}
