// XML as libvirt writes it, read without a schema.
import { XMLParser } from 'fast-xml-parser'

/** An element: attributes begin with `@`, text is `#`. Every element is a list, because any may be repeated. */
export type Element = { readonly [name: string]: readonly Element[] | string | undefined }

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#',
  alwaysCreateTextNode: true,
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (_name, _path, _isLeaf, isAttribute) => !isAttribute,
})

/** The document; its elements are what `all` and `one` find. */
export const parseXml = (xml: string): Element => parser.parse(xml) as Element

export const all = (element: Element, name: string): readonly Element[] => {
  const found = element[name]
  return Array.isArray(found) ? found : []
}

/** The first one; an empty element when there is none. */
export const one = (element: Element, name: string): Element => all(element, name)[0] ?? {}

/** Empty when there is none. */
export const attribute = (element: Element, name: string): string => {
  const value = element[`@${name}`]
  return typeof value === 'string' ? value : ''
}

export const textOf = (element: Element, name: string): string => {
  const value = one(element, name)['#']
  return typeof value === 'string' ? value.trim() : ''
}

/** Names of the elements right inside, with the prefix of their namespace. */
export const namesIn = (element: Element): readonly string[] =>
  Object.keys(element).filter((name) => !name.startsWith('@') && name !== '#')

/** For text and for attributes in either quotes. */
export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
