// How what stands in a plan is said to people: for what differs between two versions, and for what two people disagree about.
import type {
  PlanGroup,
  PlanMachine,
  PlanNames,
  PlanParameter,
  PlanStep,
  RecoveryPlan,
  WhenItFails,
} from './plan.ts'
import type { GroupPart } from './plan-items.ts'
import { isStep, itemsOf, nameOfItem } from './plan-items.ts'
import { type Endpoint, type ScriptPlace, type StepAction, wordsOfStepKind } from './step-action.ts'

export const quoted = (text: string): string => `"${text}"`
export const listed = (texts: readonly string[]): string => (texts.length === 0 ? 'none' : texts.join(', '))

/** `step "Switch DNS"`, `machine "Oracle"`. */
export const titleOf = (item: PlanMachine | PlanStep, names: PlanNames): string =>
  `${isStep(item) ? 'step' : 'machine'} ${quoted(nameOfItem(item, names))}`

export const wordsOfPart: Record<GroupPart, string> = {
  before: 'before the machines of',
  machines: 'among the machines of',
  after: 'after the machines of',
}

export const wordsOfStart: Record<PlanGroup['start'], string> = {
  'in-order': 'after the groups before it',
  'at-once': 'at once',
}

export const wordsOfFailure: Record<WhenItFails, string> = {
  stop: 'stop the plan',
  continue: 'go on',
  ask: 'ask what to do',
}

export const wordsOfTarget = (seconds: number | null): string => (seconds === null ? 'none' : `${seconds} s`)

/** Finds what an item or a site is called, in whichever of the plans it is. */
export type NameOfItem = (id: string) => string

export function namesIn(plans: readonly RecoveryPlan[], names: PlanNames): NameOfItem {
  const known = new Map<string, string>([
    ...names,
    ...plans.flatMap(itemsOf).map(({ item }) => [item.id, nameOfItem(item, names)] as const),
  ])
  return (id) => known.get(id) ?? id
}

export const wordsOfParameter = ({ type, choices, ...parameter }: PlanParameter): string =>
  [
    type === 'choice' ? `choice of ${listed(choices.map(quoted))}` : type,
    `default ${parameter.default === null ? 'none' : wordsOfLeaf(parameter.default)}`,
    parameter.asked ? 'asked at the start' : 'not asked',
    ...(parameter.description === '' ? [] : [quoted(parameter.description)]),
  ].join(', ')

/** `script: command "/bin/true", timeout 60 s`. */
export const wordsOfAction = (action: StepAction, nameOf: NameOfItem): string =>
  [
    `${wordsOfStepKind[action.kind]}:`,
    [...settingsOf(action, nameOf)].map(([what, words]) => `${what} ${words}`).join(', '),
  ].join(' ')

/**
 * Everything that an action is set to, by what it is called: `timeout` to `60 s`, `environment KEY` to `"x"`. Two actions of one kind
 * that differ anywhere differ here. Pure.
 */
export function settingsOf(action: StepAction, nameOf: NameOfItem): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  const read = (path: readonly string[], value: unknown): void => {
    const place = wordsOfPlace(value, nameOf) ?? wordsOfName(path, value, nameOf)
    if (place !== null || typeof value !== 'object' || value === null || Array.isArray(value))
      settings.set(...setting(path, place ?? wordsOfLeaf(value, nameOf), value))
    else for (const [key, inner] of Object.entries(value)) read([...path, key], inner)
  }
  for (const [key, value] of Object.entries(action)) if (key !== 'kind') read([key], value)
  return settings
}

function setting(path: readonly string[], words: string, value: unknown): [what: string, words: string] {
  // The names of variables and headers are somebody else's words.
  const [first = '', ...others] = path
  const what = [plainWords(first), ...(isNamedByUser(first) ? others : others.map(plainWords))].join(' ')
  return typeof value === 'number' && / ?seconds$/.test(what)
    ? [what.replace(/ ?seconds$/, '') || 'time', `${words} s`]
    : [what, words]
}

const isNamedByUser = (key: string): boolean =>
  key === 'environment' || key === 'headers' || key === 'variables'

/** `expectedStatus` to `expected status`. */
const plainWords = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

/** Ids of what has a name. */
const wordsOfName = (path: readonly string[], value: unknown, nameOf: NameOfItem): string | null => {
  const last = path.at(-1)
  if ((last !== 'machine' && last !== 'site') || typeof value !== 'string') return null
  return quoted(nameOf(value))
}

const wordsOfLeaf = (value: unknown, nameOf: NameOfItem | null = null): string => {
  if (value === null) return 'none'
  if (Array.isArray(value))
    return listed(value.map((item) => (nameOf && wordsOfPlace(item, nameOf)) ?? wordsOfLeaf(item, nameOf)))
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return String(value)
}

const wordsOfPlace = (value: unknown, nameOf: NameOfItem): string | null => {
  if (!isPlace(value)) return null
  switch (value.kind) {
    case 'address':
      return quoted(value.address)
    case 'machine':
      return `machine ${quoted(nameOf(value.machine))}`
    case 'server':
      return 'on the server'
    case 'site':
      return `on the host of ${quoted(nameOf(value.site))}`
    case 'guest':
      return `in the guest of ${quoted(nameOf(value.machine))}`
  }
}

/** Told by its kind; the change of a load balancer's address has a kind of the same name, but no address of its own. */
const isPlace = (value: unknown): value is Endpoint | ScriptPlace => {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false
  const { kind } = value
  if (kind === 'address') return 'address' in value
  return kind === 'server' || kind === 'site' || kind === 'guest' || kind === 'machine'
}
