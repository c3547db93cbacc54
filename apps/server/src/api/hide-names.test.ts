import { expect, test } from 'vitest'
import { hideNames } from './hide-names.ts'

test.each([
  { text: 'Skipped by ada', names: ['ada'], hidden: 'Skipped by somebody' },
  {
    text: 'The source is not proven off; Ada went on',
    names: ['ada'],
    hidden: 'The source is not proven off; somebody went on',
  },
  { text: 'ada (nightly) asked', names: ['ada', 'ada (nightly)'], hidden: 'somebody asked' },
  { text: 'web-1, webshop and web', names: ['web'], hidden: 'web-1, webshop and somebody' },
  { text: 'a.b* wrote', names: ['a.b*'], hidden: 'somebody wrote' },
  { text: 'Zoë war da', names: ['Zoë', ''], hidden: 'somebody war da' },
])('"$text" names nobody', ({ text, names, hidden }) => {
  expect(hideNames(text, names)).toBe(hidden)
})
