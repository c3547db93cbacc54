// Reading what an operator typed: whatever is wrong is refused by the name of its field. Pure.
import { Refusal } from '@understudy/base/errors'

export type Fields = Readonly<Record<string, unknown>>

export const wrong = (message: string, remedy: string): Refusal =>
  new Refusal({ code: 'azure/settings', message, remedy })

/** Throws Refusal `azure/settings` when there is a field of another name. `where` is "settings", or a part of them. */
export function checkFields(fields: Fields, known: readonly string[], where: string): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw wrong(`${where}.${unknown} is not a setting of a site in Azure`, `Use one of ${known.join(', ')}.`)
}

export function readText(fields: Fields, name: string, where = 'settings'): string {
  const value = fields[name]
  if (typeof value === 'string' && value !== '') return value
  throw wrong(`${where}.${name} is missing`, 'Fill it in.')
}

/** Empty counts as left out. */
export function readOptionalText(fields: Fields, name: string, where: string): string | null {
  const value = fields[name]
  return value === undefined || value === '' ? null : readText(fields, name, where)
}

export function readNumber(fields: Fields, name: string, most: number): number | null {
  const value = fields[name]
  if (value === undefined) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value
  throw wrong(`settings.${name} must be a whole number from 1 to ${most}`, 'Correct it, or leave it out.')
}

/** A part of the settings that has fields of its own. */
export function readPart(value: unknown, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(`${where} is not filled in`, 'Fill it in, or leave it out.')
}

/** Left out counts as empty. */
export function readList(value: unknown, where: string): readonly unknown[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value
  throw wrong(`${where} is not a list`, 'Correct it, or leave it out.')
}
