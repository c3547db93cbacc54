// `/subscriptions/<s>/resourceGroups/<g>/providers/<namespace>/<kind>/<name>[/<kind>/<name>]`. Azure does not tell upper from lower case in
// any of it, and answers with another spelling than it was asked with. Pure.

export type ResourceId = { readonly resourceGroup: string; readonly names: readonly string[] }

/** Null: this is no such id. */
export function readResourceId(id: string): ResourceId | null {
  const found = /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/[^/]+\/(.+)$/i.exec(id)
  const [, resourceGroup, rest] = found ?? []
  if (resourceGroup === undefined || rest === undefined) return null
  const parts = rest.split('/')
  return { resourceGroup, names: parts.filter((_, index) => index % 2 === 1) }
}

export const sameId = (one: string | undefined, other: string | undefined): boolean =>
  one !== undefined && one.toLowerCase() === other?.toLowerCase()
