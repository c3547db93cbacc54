// Reading JSON that a person or an older version wrote: every field is checked, and the complaint names its place.
import { Refusal } from '@understudy/base/errors'

/** One JSON object whose fields are read with a check each. `where` is the place for people: `hosts[0].address`. */
export type Fields = {
  readonly where: string
  text(name: string, pattern?: RegExp): string
  optionalText(name: string): string | undefined
  textOrNull(name: string): string | null
  /** A safe integer of at least `minimum`. */
  integer(name: string, minimum: number, maximum?: number): number
  flag(name: string): boolean
  oneOf<Choice extends string>(name: string, choices: readonly Choice[]): Choice
  object(name: string): Fields
  list<Item>(name: string, read: (item: Fields) => Item): readonly Item[]
  has(name: string): boolean
  raw(name: string): unknown
}

/** `code` is that of the Refusal which a wrong field throws. */
export function fieldsOf(value: unknown, where: string, code: string): Fields {
  const wrong = (name: string, what: string): Refusal =>
    new Refusal({
      code,
      message: `${name === '' ? where : `${where}.${name}`} ${what}`,
      remedy: 'Correct this field and try again.',
      facts: { field: name === '' ? where : `${where}.${name}` },
    })
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('', 'must be an object')
  const record = value as Readonly<Record<string, unknown>>

  const fields: Fields = {
    where,
    has: (name) => record[name] !== undefined && record[name] !== null,
    raw: (name) => record[name],
    text(name, pattern) {
      const text = record[name]
      if (typeof text !== 'string' || text === '') throw wrong(name, 'must be a text that is not empty')
      if (text.includes('\0')) throw wrong(name, 'must not contain a zero byte')
      if (pattern !== undefined && !pattern.test(text))
        throw wrong(name, `"${text}" must match ${pattern.source}`)
      return text
    },
    optionalText: (name) => (fields.has(name) ? fields.text(name) : undefined),
    textOrNull: (name) => (fields.has(name) ? fields.text(name) : null),
    integer(name, minimum, maximum = Number.MAX_SAFE_INTEGER) {
      const number = record[name]
      if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < minimum || number > maximum)
        throw wrong(name, `must be a whole number from ${minimum} to ${maximum}`)
      return number
    },
    flag(name) {
      const flag = record[name]
      if (typeof flag !== 'boolean') throw wrong(name, 'must be true or false')
      return flag
    },
    oneOf(name, choices) {
      const choice = choices.find((candidate) => candidate === record[name])
      if (choice === undefined) throw wrong(name, `must be one of ${choices.join(', ')}`)
      return choice
    },
    object: (name) => fieldsOf(record[name], `${where}.${name}`, code),
    list(name, read) {
      const items = record[name]
      if (!Array.isArray(items)) throw wrong(name, 'must be a list')
      return items.map((item: unknown, index) => read(fieldsOf(item, `${where}.${name}[${index}]`, code)))
    },
  }
  return fields
}
