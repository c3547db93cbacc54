// Judges requests and answers by the types that Microsoft publishes: what is required, what only Azure may say, which values there are.
import { existsSync, readFileSync } from 'node:fs'
import { present } from '@understudy/base/invariant'

type Ref = { readonly $ref: string }
type Property = { readonly type: Ref; readonly flags: number }
type PublishedType =
  | {
      readonly $type: 'ObjectType'
      readonly properties: Readonly<Record<string, Property>>
      readonly additionalProperties?: Ref
    }
  | { readonly $type: 'ArrayType'; readonly itemType: Ref }
  | { readonly $type: 'UnionType'; readonly elements: readonly Ref[] }
  | { readonly $type: 'StringLiteralType'; readonly value: string }
  | {
      readonly $type: 'StringType'
      readonly minLength?: number
      readonly maxLength?: number
      readonly pattern?: string
    }
  | { readonly $type: 'IntegerType'; readonly minValue?: number; readonly maxValue?: number }
  | { readonly $type: 'BooleanType' }
  | { readonly $type: 'AnyType' }
  | { readonly $type: 'ResourceType'; readonly name: string; readonly body: Ref }
  | {
      readonly $type: 'ResourceFunctionType'
      readonly name: string
      readonly input?: Ref
      readonly output: Ref
    }

/** Bits of `flags`. */
const REQUIRED = 1
const READ_ONLY = 2
const WRITE_ONLY = 4

export type Direction = 'request' | 'answer'

const files = new Map<string, readonly PublishedType[] | null>()

function load(provider: string, version: string): readonly PublishedType[] | null {
  const name = `${provider.toLowerCase()}-${version}.jsonl`
  const known = files.get(name)
  if (known !== undefined) return known
  const url = new URL(`published-types/${name}`, import.meta.url)
  const types = existsSync(url)
    ? readFileSync(url, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as PublishedType)
    : null
  files.set(name, types)
  return types
}

/** What is wrong with it; null: nothing is published about this resource in this version. */
export function complaintsAbout(
  resource: { readonly type: string; readonly version: string; readonly direction: Direction },
  body: unknown,
): readonly string[] | null {
  const types = load(resource.type.split('/')[0] ?? '', resource.version)
  const wanted = `${resource.type}@${resource.version}`.toLowerCase()
  const found = types?.find((one) => one.$type === 'ResourceType' && one.name.toLowerCase() === wanted)
  if (types === null || found?.$type !== 'ResourceType') return null
  return judge({ types, direction: resource.direction }, found.body, body, '')
}

/** The same for what an action is asked with. */
export function complaintsAboutInput(
  action: { readonly provider: string; readonly version: string; readonly name: string },
  body: unknown,
): readonly string[] | null {
  const types = load(action.provider, action.version)
  const found = types?.find((one) => one.$type === 'ResourceFunctionType' && one.name === action.name)
  if (types === null || found?.$type !== 'ResourceFunctionType' || found.input === undefined) return null
  return judge({ types, direction: 'request' }, found.input, body, '')
}

/** The same for what an action answers. */
export function complaintsAboutOutput(
  action: { readonly provider: string; readonly version: string; readonly name: string },
  body: unknown,
): readonly string[] | null {
  const types = load(action.provider, action.version)
  const found = types?.find((one) => one.$type === 'ResourceFunctionType' && one.name === action.name)
  if (types === null || found?.$type !== 'ResourceFunctionType') return null
  return judge({ types, direction: 'answer' }, found.output, body, '')
}

type Judging = { readonly types: readonly PublishedType[]; readonly direction: Direction }

function judge(judging: Judging, ref: Ref, value: unknown, path: string): string[] {
  const type = present(judging.types[Number(ref.$ref.slice(2))], 'every type that is referred to is there')
  const where = path === '' ? '/' : path
  const unless = (holds: boolean, wanted: string): string[] =>
    holds ? [] : [`${where} is ${JSON.stringify(value)}, not ${wanted}`]
  switch (type.$type) {
    case 'ObjectType':
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return unless(false, 'an object')
      return judgeObject(judging, type, value as Record<string, unknown>, path)
    case 'ArrayType':
      if (!Array.isArray(value)) return unless(false, 'a list')
      return value.flatMap((item, index) => judge(judging, type.itemType, item, `${path}/${index}`))
    case 'UnionType':
      return judgeUnion(judging, type.elements, value, path)
    case 'StringLiteralType':
      return unless(value === type.value, `"${type.value}"`)
    case 'StringType':
      return judgeString(type, value, unless)
    case 'IntegerType':
      return unless(
        Number.isInteger(value) &&
          Number(value) >= (type.minValue ?? -Infinity) &&
          Number(value) <= (type.maxValue ?? Infinity),
        `a whole number from ${type.minValue ?? '-'} to ${type.maxValue ?? '-'}`,
      )
    case 'BooleanType':
      return unless(typeof value === 'boolean', 'true or false')
    case 'AnyType':
    case 'ResourceType':
    case 'ResourceFunctionType':
      return []
  }
}

function judgeObject(
  judging: Judging,
  type: Extract<PublishedType, { $type: 'ObjectType' }>,
  value: Readonly<Record<string, unknown>>,
  path: string,
): string[] {
  const complaints: string[] = []
  const isRequest = judging.direction === 'request'
  for (const [name, { flags }] of Object.entries(type.properties)) {
    // Which version, which name: a request says it in its address.
    const isAddress = path === '' && /^(id|name|type|apiVersion)$/.test(name)
    const isNeeded = (flags & REQUIRED) !== 0 && !(isAddress && (isRequest || name === 'apiVersion'))
    if (
      isNeeded &&
      !(isRequest ? (flags & READ_ONLY) !== 0 : (flags & WRITE_ONLY) !== 0) &&
      value[name] === undefined
    )
      complaints.push(`${path}/${name} is missing`)
  }
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue
    const property = type.properties[name]
    const at = `${path}/${name}`
    if (property === undefined) {
      if (type.additionalProperties !== undefined)
        complaints.push(...judge(judging, type.additionalProperties, item, at))
      else if (!(path === '' && /^(etag|systemData|kind)$/.test(name))) complaints.push(`${at} is not known`)
      continue
    }
    if (path === '' && /^(id|name|type)$/.test(name) && isRequest) continue
    if (isRequest && (property.flags & READ_ONLY) !== 0) complaints.push(`${at} is for Azure to say`)
    else if (!isRequest && (property.flags & WRITE_ONLY) !== 0) complaints.push(`${at} is never said`)
    else complaints.push(...judge(judging, property.type, item, at))
  }
  return complaints
}

/** Lists of values are often open, so that Azure can add to them. What we say must be among those that are known, sizes aside. */
function judgeUnion(judging: Judging, elements: readonly Ref[], value: unknown, path: string): string[] {
  const options = elements.map(({ $ref }) =>
    present(judging.types[Number($ref.slice(2))], 'every type that is referred to is there'),
  )
  const literals = options.flatMap((option) => (option.$type === 'StringLiteralType' ? [option.value] : []))
  const isOpenList = literals.length > 0 && options.some(({ $type }) => $type === 'StringType')
  if (isOpenList) {
    if (typeof value === 'string' && (literals.includes(value) || literals.includes('Basic_A0'))) return []
    return [`${path} is ${JSON.stringify(value)}, not one of ${literals.slice(0, 8).join(', ')}`]
  }
  const judged = elements.map((element) => judge(judging, element, value, path))
  return judged.some((complaints) => complaints.length === 0) ? [] : judged.flat()
}

function judgeString(
  { minLength = 0, maxLength = Infinity, pattern }: Extract<PublishedType, { $type: 'StringType' }>,
  value: unknown,
  unless: (holds: boolean, wanted: string) => string[],
): string[] {
  if (typeof value !== 'string') return unless(false, 'text')
  return [
    ...unless(
      value.length >= minLength && value.length <= maxLength,
      `${minLength} to ${maxLength} characters`,
    ),
    ...(pattern === undefined ? [] : unless(new RegExp(pattern, 'u').test(value), `like ${pattern}`)),
  ]
}
