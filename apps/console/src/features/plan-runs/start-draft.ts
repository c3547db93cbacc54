// What is filled in before a plan is run, what is sent of it, and when it may be sent. Pure.
import type { PlanDetail, PlanFinding, PlanPointChoice } from '@understudy/contract/recovery-plan'
import { latestPoint, type PointDraft, pointOf } from './point-draft.ts'

export type StartKind = 'test' | 'planned' | 'unplanned' | 'fail-back'
type Parameter = PlanDetail['plan']['parameters'][number]
export type ParameterValue = string | number | boolean

export type StartDraft = {
  readonly kind: StartKind
  readonly point: PointDraft
  /** Only what was filled in; what is left out takes the plan's default. */
  readonly values: Readonly<Record<string, ParameterValue>>
  readonly acceptUnfenced: boolean
  readonly allowOpenNetworks: boolean
  readonly cleanUpWhenDone: boolean
}

/** What is filled in of one plan, whatever else is chosen. */
export type Filled = Pick<StartDraft, 'values'>

export const newDraft = (kind: StartKind): StartDraft => ({
  kind,
  point: latestPoint,
  values: {},
  acceptUnfenced: false,
  allowOpenNetworks: false,
  cleanUpWhenDone: true,
})

export type StartKindWords = {
  readonly button: string
  readonly title: string
  readonly effect: string
  readonly confirm: string
  readonly danger: boolean
  /** A move on purpose ships what was written last, and needs no point. */
  readonly choosesPoint: boolean
}

export const wordsOfStart: Record<StartKind, StartKindWords> = {
  test: {
    button: 'Test',
    title: 'Test',
    effect:
      'Brings copies of all machines up in the isolated network, in order, with steps and probes. What runs for your users is not touched.',
    confirm: 'Start the test',
    danger: false,
    choosesPoint: true,
  },
  planned: {
    button: 'Planned failover',
    title: 'Planned failover',
    effect:
      'Shuts each machine down with proof, ships what it wrote last, and starts it at the other site. Nothing is lost.',
    confirm: 'Fail over',
    danger: true,
    choosesPoint: false,
  },
  unplanned: {
    button: 'Unplanned failover',
    title: 'Unplanned failover',
    effect:
      'Starts all machines at the other site from recovery points, without any help of the site where they run. What was written after the points is lost. It can be rolled back until it is committed.',
    confirm: 'Fail over now',
    danger: true,
    choosesPoint: true,
  },
  'fail-back': {
    button: 'Fail back',
    title: 'Fail back',
    effect:
      'Moves all machines back to the site that they came from: each is shut down with proof, what it wrote last is shipped, and the original starts. Nothing is lost.',
    confirm: 'Fail back',
    danger: true,
    choosesPoint: false,
  },
}

export const askedParameters = (parameters: readonly Parameter[]): readonly Parameter[] =>
  parameters.filter(({ asked }) => asked)

/** What the form shows: what was filled in, else the plan's default. */
export const valueIn = ({ name, default: plain }: Parameter, draft: Filled): ParameterValue | null =>
  draft.values[name] ?? plain

/** An empty field is one that was not filled in. */
export function withValue<Draft extends Filled>(
  draft: Draft,
  name: string,
  value: ParameterValue | null,
): Draft {
  const { [name]: _, ...others } = draft.values
  return { ...draft, values: value === null || value === '' ? others : { ...others, [name]: value } }
}

export type StartBody = {
  readonly kind: StartKind
  readonly point: PlanPointChoice
  readonly parameters: Record<string, ParameterValue>
  readonly acceptUnfenced: boolean
  readonly allowOpenNetworks: boolean
  readonly cleanUp: 'by-hand' | 'when-done'
}

/** Null: something is not chosen yet. Options of another kind of run are not sent. */
export function bodyOf(draft: StartDraft): StartBody | null {
  const { kind } = draft
  const point = wordsOfStart[kind].choosesPoint ? pointOf(draft.point) : ({ kind: 'latest' } as const)
  if (point === null) return null
  return {
    kind,
    point,
    parameters: { ...draft.values },
    acceptUnfenced: kind === 'unplanned' && draft.acceptUnfenced,
    allowOpenNetworks: kind === 'test' && draft.allowOpenNetworks,
    cleanUp: kind === 'test' && draft.cleanUpWhenDone ? 'when-done' : 'by-hand',
  }
}

/** For looking beforehand, again and again: that a secret is there is enough, and it stays in the form. */
export function dryBodyOf(draft: StartDraft, parameters: readonly Parameter[]): StartBody | null {
  const body = bodyOf(draft)
  if (body === null) return null
  const secret = new Set(parameters.filter(({ type }) => type === 'secret').map(({ name }) => name))
  return {
    ...body,
    parameters: Object.fromEntries(
      Object.entries(body.parameters).map(([name, value]) => [name, secret.has(name) ? '…' : value]),
    ),
  }
}

export type Placed = {
  /** By the name of the parameter that they are about. */
  readonly parameters: ReadonlyMap<string, readonly PlanFinding[]>
  /** About the plan as a whole, and about parameters that are not asked for. */
  readonly plan: readonly PlanFinding[]
  readonly places: readonly {
    readonly id: string
    readonly name: string
    readonly findings: readonly PlanFinding[]
  }[]
  readonly blockers: number
}

/** Each finding beside what it is about; places with blockers first. Long lists are cut by whoever draws them. */
export function placeFindings(
  findings: readonly PlanFinding[],
  { asked, nameOf }: { readonly asked: readonly string[]; readonly nameOf: (id: string) => string },
): Placed {
  const parameters = new Map<string, PlanFinding[]>()
  const places = new Map<string, PlanFinding[]>()
  const plan: PlanFinding[] = []
  for (const finding of findings) {
    const { at } = finding
    if (at.kind === 'plan' || (at.kind === 'parameter' && !asked.includes(at.name))) plan.push(finding)
    else if (at.kind === 'parameter') put(parameters, at.name, finding)
    else put(places, at.id, finding)
  }
  const isBlocker = ({ level }: PlanFinding): boolean => level === 'blocker'
  return {
    parameters,
    plan,
    places: [...places]
      .map(([id, found]) => ({ id, name: nameOf(id), findings: found }))
      .toSorted(
        (left, right) => Number(right.findings.some(isBlocker)) - Number(left.findings.some(isBlocker)),
      ),
    blockers: findings.filter(isBlocker).length,
  }
}

function put(map: Map<string, PlanFinding[]>, key: string, finding: PlanFinding): void {
  const known = map.get(key)
  if (known) known.push(finding)
  else map.set(key, [finding])
}

type Member = { readonly machineId: string; readonly siteId: string }

/**
 * Whether every machine where it runs now is known to be off: then no second copy can run, and one click is enough. A site that does
 * not answer tells nothing about its machines, whatever was seen last.
 */
export function knownToBeDown(
  members: readonly Member[],
  seen: { readonly offMachines: ReadonlySet<string>; readonly healthySites: ReadonlySet<string> },
): boolean {
  return (
    members.length > 0 &&
    members.every(({ machineId, siteId }) => seen.offMachines.has(machineId) && seen.healthySites.has(siteId))
  )
}
