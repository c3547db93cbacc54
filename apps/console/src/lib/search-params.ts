// What a page reads from its address. What is written there by hand and makes no sense is left out, not refused.

type Read<Value> = (raw: unknown) => Value | undefined

/** An address holds what looks like a number or a flag as one. */
export const text: Read<string> = (raw) =>
  typeof raw === 'string' || typeof raw === 'number' ? String(raw) : undefined

export const number: Read<number> = (raw) =>
  typeof raw === 'number' && Number.isFinite(raw) ? raw : undefined

export const flag: Read<boolean> = (raw) => (typeof raw === 'boolean' ? raw : undefined)

export const oneOf =
  <const Value extends string>(...values: readonly Value[]): Read<Value> =>
  (raw) =>
    values.find((value) => value === raw)

/** For `validateSearch` of a route: each part on its own, so that one wrong part does not take the others with it. */
export const searchParams =
  <Parts extends Readonly<Record<string, Read<unknown>>>>(parts: Parts) =>
  (raw: Readonly<Record<string, unknown>>): { [Key in keyof Parts]?: ReturnType<Parts[Key]> } => {
    const known: { [Key in keyof Parts]?: ReturnType<Parts[Key]> } = {}
    for (const key in parts) {
      const value = parts[key]?.(raw[key])
      if (value !== undefined) known[key] = value as ReturnType<Parts[typeof key]>
    }
    return known
  }
