// What can be chosen of one kind of thing in Azure, as the fields of forms show it. Pure.
import type { PlacementChoice } from '@understudy/contract/site'

export type Option = { readonly value: string; readonly label: string }

const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()

export const choicesOf = (
  choices: readonly PlacementChoice[],
  kind: PlacementChoice['kind'],
): readonly Option[] =>
  choices
    .filter((choice) => choice.kind === kind)
    .map(({ id, name, note }) => ({ value: id, label: note === '' ? name : `${name} (${note})` }))

/** Of one subscription: a form that names another one has no use for them. */
export const ofSubscription = (options: readonly Option[], subscriptionId: string): readonly Option[] => {
  const start = `/subscriptions/${subscriptionId.trim()}/`
  return options.filter(({ value }) => isSame(value.slice(0, start.length), start))
}

/** As the list spells it: Azure does not tell upper from lower case. Null: the list has none like it. */
export const listedAs = (options: readonly Option[], id: string): string | null =>
  options.find(({ value }) => isSame(value, id))?.value ?? null

/** With those that are set and not listed: they have gone, or were typed. */
export const withSet = (options: readonly Option[], ids: readonly string[]): readonly Option[] => [
  ...options,
  ...ids
    .filter((id) => listedAs(options, id) === null)
    .map((id) => ({ value: id, label: `${id.slice(id.lastIndexOf('/') + 1)} (not in the list)` })),
]
