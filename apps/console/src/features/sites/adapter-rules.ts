// What an adapter of a machine gets in Azure, in a test and in a failover: rules of the site, found by the hardware address. Pure.
import { AzureAdapterRule } from '@understudy/contract/azure-site'
import type { Site } from '@understudy/contract/site'
import { type AdapterRule, toComputeDraft } from './compute-draft.ts'
import { filledIn, type Problems, record } from './draft-fields.ts'
import type { SiteDraft, toSiteInput } from './site-draft.ts'

type SiteInput = ReturnType<typeof toSiteInput>

export type RuleMode = AdapterRule['mode']
export const ruleModes: readonly RuleMode[] = ['test', 'failover']

export type RuleDraft = {
  readonly macAddress: string
  readonly mode: RuleMode
  /** Empty: Azure gives one. */
  readonly address: string
  readonly securityGroupId: string
  /** One a line. */
  readonly backendPoolIds: string
  readonly publicAddress: boolean
}

/** Azure and its guests spell it in either case. */
const isSame = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase()

export function toRuleDraft(
  rules: readonly AdapterRule[],
  { macAddress, mode }: Pick<RuleDraft, 'macAddress' | 'mode'>,
): RuleDraft {
  const rule = rules.find((each) => each.mode === mode && isSame(each.macAddress, macAddress))
  return {
    macAddress,
    mode,
    address: rule?.address ?? '',
    securityGroupId: rule?.securityGroupId ?? '',
    backendPoolIds: (rule?.backendPoolIds ?? []).join('\n'),
    publicAddress: rule?.publicAddress ?? false,
  }
}

/** Null: it says nothing that Azure would not do anyway. */
export function toRule(draft: RuleDraft): AdapterRule | null {
  const pools = draft.backendPoolIds.split(/\s+/).filter((id) => id !== '')
  const said = {
    ...filledIn('address', draft.address.trim()),
    ...filledIn('securityGroupId', draft.securityGroupId.trim()),
    ...(pools.length === 0 ? {} : { backendPoolIds: pools }),
    ...(draft.publicAddress ? { publicAddress: true } : {}),
  }
  if (Object.keys(said).length === 0) return null
  return { macAddress: draft.macAddress, mode: draft.mode, ...said }
}

/** By field; several pools are one field. */
export function checkRule(draft: RuleDraft): Problems {
  const rule = toRule(draft)
  const parsed = rule === null ? null : AzureAdapterRule.safeParse(rule)
  if (parsed === null || parsed.success) return {}
  return Object.fromEntries(
    parsed.error.issues.toReversed().map(({ path, message }) => [String(path[0]), message]),
  )
}

/** Those of other machines stay as they are. */
export function withRules(rules: readonly AdapterRule[], drafts: readonly RuleDraft[]): AdapterRule[] {
  const others = rules.filter(
    (rule) => !drafts.some((draft) => draft.mode === rule.mode && isSame(draft.macAddress, rule.macAddress)),
  )
  return [...others, ...drafts.map(toRule).filter((rule) => rule !== null)]
}

/** The rules of a site; null: machines cannot run there, or it is no site in Azure. */
export function rulesOf(site: Pick<Site, 'platform' | 'settings'>): readonly AdapterRule[] | null {
  if (site.platform !== 'azure') return null
  const compute = toComputeDraft(site.settings.compute)
  return compute.wanted ? compute.adapters : null
}

/** The site as it is, but for the rules of these adapters. No container is made on the way. */
export function siteWithRules(site: Site, drafts: readonly RuleDraft[]): SiteInput {
  const compute = record(site.settings.compute)
  const adapters = withRules(toComputeDraft(site.settings.compute).adapters, drafts)
  const settings = { ...site.settings, makeContainer: false, compute: { ...compute, adapters } }
  // The server has checked the rest of them when they were saved, and does so again.
  return { name: site.name, platform: 'azure', settings, secrets: {} } as unknown as SiteInput
}

/** A draft that was begun before, with the rules that the site has by now: its form does not show them. */
export function withAdaptersOf(now: Pick<Site, 'settings'>, draft: SiteDraft): SiteDraft {
  const { adapters } = toComputeDraft(now.settings.compute)
  const { compute } = draft.azure
  return { ...draft, azure: { ...draft.azure, compute: { ...compute, adapters } } }
}

/** Settings that were seen before, with the rules that the site has by now: others saved those since, and nothing of this form's. */
export function settingsWithAdaptersOf(
  now: Pick<Site, 'settings'>,
  before: Site['settings'],
): Site['settings'] {
  const [compute, current] = [record(before.compute), record(now.settings.compute)]
  if (before.compute === undefined || current.adapters === undefined) return before
  return { ...before, compute: { ...compute, adapters: current.adapters } }
}
