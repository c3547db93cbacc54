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

/** Those that are set, each once. One that is not listed has gone, or was typed. */
export const chosenOf = (options: readonly Option[], ids: readonly string[]): readonly Option[] =>
  ids
    .filter((id, index) => ids.findIndex((other) => isSame(other, id)) === index)
    .map(
      (id) =>
        options.find(({ value }) => isSame(value, id)) ?? {
          value: id,
          label: `${id.slice(id.lastIndexOf('/') + 1)} (not in the list)`,
        },
    )

/** With those that are set and not listed. */
export const withSet = (options: readonly Option[], ids: readonly string[]): readonly Option[] => [
  ...options,
  ...chosenOf(options, ids).filter(({ value }) => listedAs(options, value) === null),
]
