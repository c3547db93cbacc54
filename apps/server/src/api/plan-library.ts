// The library of ready plans: files beside the server, read once, and what becomes of one when its roles have machines.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { type LibraryEntry, LibraryText } from '@understudy/contract/plan-library'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { ParameterValue, PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { mapSite } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import { parse } from 'yaml'

const folder = fileURLToPath(new URL('../../library', import.meta.url))

/** By title. Throws what is wrong with a file: they are ours. */
export const readLibrary = (): readonly LibraryText[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => LibraryText.parse(parse(readFileSync(join(folder, file), 'utf8'))))
    .toSorted((left, right) => left.title.localeCompare(right.title, 'en'))

export const showEntry = ({
  id,
  version,
  title,
  summary,
  documentation,
  roles,
  sites,
  plan,
}: LibraryText): LibraryEntry => ({
  id,
  version,
  title,
  summary,
  documentation,
  roles,
  sites,
  parameters: plan.parameters,
  order: plan.groups.flatMap((group) => [
    ...group.before.map(({ name }) => name),
    ...group.machines.map(
      ({ protection }) => roles.find(({ name }) => name === protection)?.title ?? protection,
    ),
    ...group.after.map(({ name }) => name),
  ]),
})

type Filled = {
  readonly name: string
  readonly roles: Readonly<Record<string, readonly string[]>>
  readonly sites: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, ParameterValue>>
}

/** The plan with a machine of each role, and what was filled in as its defaults. A role of several machines has its first one looked at. Pure. */
export function planFromLibrary(entry: LibraryText, filled: Filled): Omit<RecoveryPlan, 'id'> {
  refuseUnfilled(entry, filled)
  const { understudyPlan, groups, parameters, ...head } = entry.plan
  return {
    ...head,
    name: filled.name,
    parameters: parameters.map((parameter) => ({
      ...parameter,
      default: filled.parameters[parameter.name] ?? parameter.default,
    })),
    groups: groups.map((group) => ({
      ...group,
      before: group.before.map((step) => withSite(step, filled)),
      after: group.after.map((step) => withSite(step, filled)),
      machines: group.machines.flatMap(({ protection: role, id, ...machine }) =>
        (filled.roles[role] ?? []).map((protectionId, index) => ({
          ...machine,
          id: (index === 0 ? id : `${id}-${index + 1}`) as ItemId,
          protectionId: protectionId as ProtectionId,
        })),
      ),
    })),
  }
}

const withSite = (step: PlanStep, { sites }: Filled): PlanStep => ({
  ...step,
  action: mapSite(step.action, (role) => present(sites[role], 'every role of a site is filled') as SiteId),
})

function refuseUnfilled({ title, roles, sites, plan }: LibraryText, filled: Filled): void {
  const siteless = sites.find(({ name }) => filled.sites[name] === undefined)
  if (siteless)
    throw new Refusal({
      code: 'plan-library/role',
      message: `"${title}" needs a site as "${siteless.title}"`,
      remedy: 'Choose a site in Azure for it.',
    })
  const wrong = roles.find(({ name, many }) => {
    const { length } = filled.roles[name] ?? []
    return length === 0 || (length > 1 && !many)
  })
  const known = new Map<string, string>(plan.parameters.map(({ name, type }) => [name, type]))
  const stray =
    Object.keys(filled.roles).find((name) => roles.every((role) => role.name !== name)) ??
    Object.keys(filled.sites).find((name) => sites.every((role) => role.name !== name)) ??
    Object.keys(filled.parameters).find((name) => !known.has(name) || known.get(name) === 'secret')
  if (wrong)
    throw new Refusal({
      code: 'plan-library/role',
      message: `"${title}" needs ${wrong.many ? 'at least one machine' : 'one machine'} as "${wrong.title}"`,
      remedy: 'Choose protected machines for every role.',
    })
  if (stray !== undefined)
    throw new Refusal({
      code: 'plan-library/unknown-name',
      message: `"${title}" has no role or parameter "${stray}" that could be filled in here`,
      remedy: 'Secrets are kept with the plan once it is made; for the rest see the list of the library.',
    })
}
