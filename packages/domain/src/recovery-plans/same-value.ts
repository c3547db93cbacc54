/** Whether two values of plain JSON say the same; the order of the keys of an object says nothing. Pure. */
export function isSameValue(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const [ones, others] = [Object.entries(one), new Map(Object.entries(other))]
  return (
    ones.length === others.size &&
    ones.every(([key, value]) => others.has(key) && isSameValue(value, others.get(key)))
  )
}
