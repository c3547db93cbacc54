// How fields of a form become parts of a request, and how settings that are kept become fields again. Pure.

/** What is wrong with which field, by its path. */
export type Problems = Readonly<Record<string, string>>

export const FILL_IN = 'Fill this in'

/** A part of a request that is left out when its field is empty. */
export const filledIn = <Name extends string>(
  name: Name,
  value: string,
): { readonly [Key in Name]?: string } =>
  value === '' ? {} : ({ [name]: value } as { readonly [Key in Name]: string })

export type Loose = Readonly<Record<string, unknown>>
export const record = (value: unknown): Loose =>
  typeof value === 'object' && value !== null ? (value as Loose) : {}
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const text = (value: unknown, absent = ''): string => (typeof value === 'string' ? value : absent)
export const optionalNumber = (value: unknown): number | '' => (typeof value === 'number' ? value : '')
export const number = (value: unknown, absent: number): number => (typeof value === 'number' ? value : absent)
