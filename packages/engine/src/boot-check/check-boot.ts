// Asks a protected machine, while it runs, whether it would boot at its target. What it says is judged, and kept with its protection.
import { isAbort, Refusal, toFailureReport } from '@understudy/base/errors'
import { type BootCheck, type BootSubject, checkOf } from '@understudy/domain/boot-check/boot-check'
import { verdictOf } from '@understudy/domain/boot-check/boot-finding'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import { judgeBoot, systemNameOf } from '@understudy/domain/boot-check/judge-boot'
import type { Preparation } from '@understudy/domain/boot-check/preparation'
import {
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import { loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { platformOf } from '../sites/platform-of.ts'

/** A guest without processors of its own takes its time to list its memory disks. */
const LONGEST_SECONDS = 240
/** Building the memory disks of two kernels, where processors are slow. */
const LONGEST_PREPARATION_SECONDS = 1800

export type BootChecks = {
  /** Asks the machine now. One question per protection: whoever comes while one is under way gets its answer. */
  check(id: ProtectionId): Promise<BootCheck>
  /**
   * Begins to change the machine so that it starts at its target, and asks it again afterwards; what becomes of it is kept and told. Refuses
   * what cannot be done. Whoever comes while it is under way changes nothing.
   */
  prepare(id: ProtectionId): Promise<void>
  isPreparing(id: ProtectionId): boolean
  /** Gives up those under way. Repeatable. */
  stop(): Promise<void>
}

/** Each question is minutes of work inside a production machine, so nobody may ask twice at once. */
export function createBootChecks(parts: EngineParts): BootChecks {
  const stopping = new AbortController()
  const underWay = new Map<ProtectionId, Promise<BootCheck>>()
  const preparing = new Map<ProtectionId, Promise<void>>()
  const check: BootChecks['check'] = async (id) => {
    stopping.signal.throwIfAborted()
    const joined = underWay.get(id)
    if (joined !== undefined) return await joined
    const begun = checkBoot(parts, id, stopping.signal).finally(() => underWay.delete(id))
    underWay.set(id, begun)
    return await begun
  }
  return {
    check,
    async prepare(id) {
      stopping.signal.throwIfAborted()
      const work = await preparationOf(parts, id)
      if (preparing.has(id)) return
      const begun = prepareBoot(parts, id, { work, signal: stopping.signal })
        .then(async (done) => {
          // What was asked before is of the machine as it was.
          await underWay.get(id)?.catch(() => {})
          if (done) await check(id)
        })
        .catch((error: unknown) => {
          if (!isAbort(error)) throw error
        })
        .finally(() => {
          preparing.delete(id)
          parts.live.changed('protections', id)
        })
      preparing.set(id, begun)
      parts.live.changed('protections', id)
    },
    isPreparing: (id) => preparing.has(id),
    async stop() {
      stopping.abort(new DOMException('The engine stops', 'AbortError'))
      await Promise.allSettled([...preparing.values(), ...underWay.values()])
    },
  }
}

/** Repeatable. Never throws for a machine or a site that cannot be asked: that is kept as the trouble of the check. */
async function checkBoot(parts: EngineParts, id: ProtectionId, signal: AbortSignal): Promise<BootCheck> {
  const protection = await loadProtection(parts, id)
  const before = await keptCheck(parts, protection)
  const check = await attempt(parts, protection, { before, signal })
  await parts.stores.protections.keepBootCheck(id, check)
  await tellIfGrave(parts, protection, { before, check })
  parts.live.changed('protections', id)
  return check
}

type PreparationWork = (signal: AbortSignal) => Promise<Preparation>

async function preparationOf(parts: EngineParts, id: ProtectionId): Promise<PreparationWork> {
  const protection = await loadProtection(parts, id)
  whyNotNow(protection)
  const { hardware, prepareBoot: prepare } = await openSides(parts, protection)
  if (!prepare)
    throw new Refusal({
      code: 'boot-check/by-hand',
      message: 'Machines of this kind of site cannot be prepared from here',
      remedy: 'Type in the machine what its boot preparation says.',
    })
  // The emulation has hardware of its own, and it is what a test boots on.
  const kinds = [hardware.kind, ...(hardware.emulatedOn ? [hardware.emulatedOn] : [])]
  return (signal) => prepare(protection.sourceRef, [...new Set(kinds)], signal)
}

/** False: it failed, and that was kept. */
async function prepareBoot(
  parts: EngineParts,
  id: ProtectionId,
  { work, signal }: { readonly work: PreparationWork; readonly signal: AbortSignal },
): Promise<boolean> {
  const protection = await loadProtection(parts, id)
  const subject = { id, name: protection.name }
  try {
    const { changes } = await withinSeconds(parts, { seconds: LONGEST_PREPARATION_SECONDS, signal }, work)
    await recordEvent(parts, {
      severity: 'info',
      code: 'boot-check/prepared',
      message: `${protection.name} was prepared for its target. Added or replaced in it: ${changes.join(', ')}`,
      subject,
    })
    return true
  } catch (error) {
    if (isAbort(error)) throw error
    const trouble = { at: parts.clock.now(), ...reported(error) }
    const before = await keptCheck(parts, protection)
    const of = subjectOf(protection)
    await parts.stores.protections.keepBootCheck(id, { of, judged: before?.judged ?? null, trouble })
    await recordEvent(parts, {
      severity: 'warning',
      code: 'boot-check/not-prepared',
      message: `${protection.name} could not be prepared for its target: ${trouble.message}. ${trouble.remedy}`,
      subject,
    })
    return false
  }
}

/** What is kept of it, or why nothing will be. Null: it is asked for the first time soon. */
export async function loadBootCheck(parts: EngineParts, id: ProtectionId): Promise<BootCheck | null> {
  const protection = await loadProtection(parts, id)
  const kept = await keptCheck(parts, protection)
  if (kept !== null) return kept
  try {
    whyNotNow(protection)
    const signal = new AbortController().signal
    await withinSeconds(parts, { seconds: parts.config.deadSiteSeconds, signal }, () =>
      openSides(parts, protection),
    )
    return null
  } catch (error) {
    return { of: subjectOf(protection), judged: null, trouble: { at: parts.clock.now(), ...reported(error) } }
  }
}

/** Whether there is anything to ask, and what is asked about. */
export async function canBeChecked(parts: EngineParts, protection: Protection): Promise<boolean> {
  try {
    await openSides(parts, protection)
    return true
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

export async function keptCheck(parts: EngineParts, protection: Protection): Promise<BootCheck | null> {
  const kept = await parts.stores.protections.bootCheck(protection.id)
  return checkOf(kept, subjectOf(protection))
}

export const subjectOf = ({ sourceRef, targetSiteId }: Protection): BootSubject => ({
  sourceRef,
  targetSiteId,
})

async function attempt(
  parts: EngineParts,
  protection: Protection,
  { before, signal }: { readonly before: BootCheck | null; readonly signal: AbortSignal },
): Promise<BootCheck> {
  const of = subjectOf(protection)
  try {
    whyNotNow(protection)
    const facts = await withinSeconds(parts, { seconds: LONGEST_SECONDS, signal }, async (bounded) => {
      const sides = await openSides(parts, protection)
      const own = await sides.bootFacts(protection.sourceRef, bounded)
      return { hardware: sides.hardware, own, prepared: await preparedIn(sides, protection, bounded) }
    })
    const { hardware, own, prepared } = facts
    const findings = judgeBoot(own, { hardware, firmware: protection.hardware.firmware })
    const judged = { at: parts.clock.now(), hardware, system: systemNameOf(own), findings, ...prepared }
    return { of, judged, trouble: null }
  } catch (error) {
    if (isAbort(error)) throw error
    // What was seen before still says most of it, with its time.
    return { of, judged: before?.judged ?? null, trouble: { at: parts.clock.now(), ...reported(error) } }
  }
}

/** Nothing where it cannot be prepared: an agent of an older version does not know what is meant. */
async function preparedIn(
  { findPreparation }: Sides,
  { sourceRef }: Protection,
  signal: AbortSignal,
): Promise<{ readonly prepared?: Preparation | null }> {
  if (!findPreparation) return {}
  try {
    return { prepared: await findPreparation(sourceRef, signal) }
  } catch (error) {
    if (error instanceof Refusal) return {}
    throw error
  }
}

const reported = (
  error: unknown,
): { readonly code: string; readonly message: string; readonly remedy: string } => {
  const { code, message, remedy } = toFailureReport(error)
  return { code, message, remedy }
}

/** The machine at the source is the one that will boot at the target only while it is replicated. */
function whyNotNow({ name, state }: Protection): void {
  if (replicatingStates.includes(state) || state === 'paused') return
  throw new Refusal({
    code: 'boot-check/not-replicating',
    message: `${name} is not being replicated, so there is nothing to prepare for`,
    remedy: 'It is looked at again once replication goes on.',
  })
}

type Sides = {
  readonly hardware: PresentedHardware
  readonly bootFacts: NonNullable<SourcePlatform['bootFacts']>
} & Pick<SourcePlatform, 'prepareBoot' | 'findPreparation'>

const TRY_IT = 'Run a test failover: it shows whether the machine boots there.'

async function openSides(
  parts: EngineParts,
  { sourceSiteId, targetSiteId }: Pick<Protection, 'sourceSiteId' | 'targetSiteId'>,
): Promise<Sides> {
  const { target } = await platformOf(parts, targetSiteId)
  const hardware = target?.presents
  if (!hardware)
    throw new Refusal({
      code: 'boot-check/unknown-hardware',
      message: 'What hardware machines find at the target site is not known',
      remedy: target ? TRY_IT : 'The target keeps replicas and runs no machines.',
    })
  const { source } = await platformOf(parts, sourceSiteId)
  if (!source?.bootFacts)
    throw new Refusal({
      code: 'boot-check/no-way',
      message: 'Machines of this kind of site cannot be asked what they are prepared for',
      remedy: TRY_IT,
    })
  const { bootFacts, prepareBoot, findPreparation } = source
  return {
    hardware,
    bootFacts: (ref, signal) => bootFacts.call(source, ref, signal),
    ...(prepareBoot && { prepareBoot: prepareBoot.bind(source) }),
    ...(findPreparation && { findPreparation: findPreparation.bind(source) }),
  }
}

/** Once, when it becomes so: afterwards the page of the machine and its readiness say it. */
async function tellIfGrave(
  parts: EngineParts,
  { id, name }: Protection,
  { before, check }: { readonly before: BootCheck | null; readonly check: BootCheck },
): Promise<void> {
  const isGrave = ({ judged }: BootCheck): boolean =>
    judged !== null && judged.hardware.emulatedOn === undefined && verdictOf(judged.findings) === 'blocker'
  if (!isGrave(check) || (before !== null && isGrave(before))) return
  const blockers = check.judged?.findings.filter(({ outcome }) => outcome === 'blocker') ?? []
  await recordEvent(parts, {
    severity: 'warning',
    code: 'boot-check/blocker',
    message: `${name} would not start at its target, or not be reached: ${blockers.map(({ message }) => message).join('; ')}`,
    subject: { id, name },
  })
}
