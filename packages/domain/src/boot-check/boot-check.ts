// What is kept of looking whether a machine is prepared for the hardware of its target.
import type { Instant } from '@understudy/base/instant'
import type { Finding, MachineRef } from '../machines/machine.ts'
import type { SiteId } from '../sites/site.ts'
import { type BootFinding, toPreflight } from './boot-finding.ts'
import type { PresentedHardware } from './guest-hardware.ts'
import type { Preparation } from './preparation.ts'

export type BootCheck = {
  /** Of which machine, for which site: what is kept says nothing about any other. */
  readonly of: BootSubject
  /** The newest judgement. Null: it could never be told. */
  readonly judged: {
    readonly at: Instant
    readonly hardware: PresentedHardware
    /** What runs in it, for a person. */
    readonly system: string
    readonly findings: readonly BootFinding[]
    /** What was prepared in it; null: nothing. Left out: machines of its kind cannot be prepared from here. */
    readonly prepared?: Preparation | null
  } | null
  /** Why the newest attempt told nothing; null: it did. */
  readonly trouble: {
    readonly at: Instant
    readonly code: string
    readonly message: string
    readonly remedy: string
  } | null
}

export type BootSubject = { readonly sourceRef: MachineRef; readonly targetSiteId: SiteId }

/** What is kept, if it is of this one. Pure. */
export const checkOf = (kept: BootCheck | null, subject: BootSubject): BootCheck | null =>
  kept?.of.sourceRef === subject.sourceRef && kept.of.targetSiteId === subject.targetSiteId ? kept : null

/** When it is to be looked at again, in milliseconds; what was never looked at: at once. Pure. */
export function bootCheckDueAt(
  check: BootCheck | null,
  { everySeconds, retrySeconds }: { readonly everySeconds: number; readonly retrySeconds: number },
): Instant {
  if (check === null) return 0
  if (check.trouble !== null) return check.trouble.at + retrySeconds * 1000
  return check.judged === null ? 0 : check.judged.at + everySeconds * 1000
}

/** What a failover should know of it. Of an emulated place nothing: what is judged is the real one. Pure. */
export const bootWarnings = (check: BootCheck | null): readonly Finding[] =>
  check?.judged && check.judged.hardware.emulatedOn === undefined ? toPreflight(check.judged.findings) : []
