// Whatever is kept or shown of a run goes through here: output of scripts, answers of servers, messages of failures.

const MASK = '••••••'

/**
 * Hides secrets in texts, also inside longer words, percent-encoded, in base64 (also as part of something longer, as in
 * `Authorization: Basic`) and as JSON writes them. What it cannot know are other encodings, and a secret that is cut in two: give it
 * whole texts. Empty secrets hide nothing. Pure.
 */
export function maskerFor(secrets: readonly string[]): (text: string) => string {
  const forms = [...new Set(secrets.flatMap(formsOf))].filter((form) => form !== '')
  return (text) => hide(text, mergedRanges(forms.flatMap((form) => rangesOf(text, form))))
}

function formsOf(secret: string): readonly string[] {
  if (secret === '') return []
  const percent = percentEncoded(secret)
  const inBase64 = base64Forms(secret)
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    percent,
    percent.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    // As a form sends it.
    percent.replaceAll('%20', '+'),
    ...inBase64,
    // RFC 4648 section 5, for URLs.
    ...inBase64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    ...inBase64.map(percentEncoded),
  ]
}

/** encodeURIComponent throws at half a surrogate pair, which a secret from somewhere else may hold. */
const percentEncoded = (text: string): string => encodeURIComponent(text.toWellFormed())

/** Shorter than this it would be found everywhere. */
const SHORTEST_BASE64 = 4

/**
 * Base64 writes three bytes as four characters, so the same secret looks different at each of three offsets. Kept is what of it does
 * not depend on its neighbours.
 */
const base64Forms = (secret: string): readonly string[] => {
  const text = [...new TextEncoder().encode(secret)].map((byte) => String.fromCharCode(byte)).join('')
  return [0, 1, 2].flatMap((offset) => {
    const binary = '\0'.repeat(offset) + text
    const from = Math.ceil((offset * 8) / 6)
    const to = Math.floor((binary.length * 8) / 6)
    const form = btoa(binary).slice(from, to)
    return form.length < SHORTEST_BASE64 ? [] : [form]
  })
}

type Range = { readonly from: number; readonly to: number }

/** Overlapping ones too: of `aXaXa` both `aXa` have to go. */
function rangesOf(text: string, form: string): readonly Range[] {
  const ranges: Range[] = []
  for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1))
    ranges.push({ from: at, to: at + form.length })
  return ranges
}

/** Replacing one secret after the other would leave the tail of a second one that overlaps the first. */
function mergedRanges(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = []
  for (const range of ranges.toSorted((one, other) => one.from - other.from)) {
    const last = merged.at(-1)
    if (last && range.from <= last.to)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    else merged.push(range)
  }
  return merged
}

function hide(text: string, ranges: readonly Range[]): string {
  let shown = ''
  let at = 0
  for (const { from, to } of ranges) {
    shown += text.slice(at, from) + MASK
    at = to
  }
  return shown + text.slice(at)
}
