// The rights that a test of the connection misses, taken out of its sentence: a list of thirty reads badly as one. Pure.

export type MissingRights = {
  /** What the server says beside them. */
  readonly rest: string
  readonly places: readonly { readonly where: string; readonly rights: readonly string[] }[]
}

/** `in resource group web: Microsoft.Compute/disks/read, Microsoft.Compute/disks/write` */
const place = /;? ?\b(in [^:;]+): (Microsoft\.[\w./*]+(?:, Microsoft\.[\w./*]+)*)/g

/** Null: it names no rights. */
export function missingRightsIn(sentence: string): MissingRights | null {
  const places = [...sentence.matchAll(place)].map(([, where = '', rights = '']) => ({
    where,
    rights: rights.split(', ').map((right) => right.replace(/\.$/, '')),
  }))
  if (places.length === 0) return null
  return { rest: sentence.replaceAll(place, '').trim(), places }
}
