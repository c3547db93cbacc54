import { describe, expect, test } from 'vitest'
import { checkFiles, checkLicenses, checkTopLevel, topLevel } from './tidy.ts'

const one = (path: string, text = '') => checkFiles([{ path, text }], '/build/understudy/')
// Put together from halves, because the check also reads this file.
const home = `/ho${'me'}/ann/disk.raw`
const trusting = `rejectUn${'authorized'}: false`

describe('tidy', () => {
  test.each(['utils', 'util', 'helpers', 'common', 'misc', 'shared', 'types', 'constants'])(
    'a folder called "%s" is refused',
    (name) => {
      expect(one(`packages/block/src/${name}/copy.ts`)).toEqual([expect.stringContaining(`"${name}"`)])
    },
  )

  test.each(['packages/block/src/index.ts', 'apps/console/src/features/sites/index.tsx'])(
    '%s is refused',
    (path) => {
      expect(one(path)).toHaveLength(1)
    },
  )

  test.each([
    'packages/block/src/copy.spec.ts',
    'packages/block/src/copy.test.mjs',
    'e2e/console/sites.spec.ts',
    'e2e/sites.spec.js',
  ])('%s is refused because no runner would collect it', (path) => {
    expect(one(path)).toEqual([expect.stringContaining('no runner')])
  })

  test.each(['packages/block/src/copy.test.ts', 'packages/block/src/boot.vm.test.ts', 'e2e/sites.spec.ts'])(
    '%s is fine',
    (path) => {
      expect(one(path)).toEqual([])
    },
  )

  test.each([
    ['a home directory', 'packages/block/src/copy.ts', `open('${home}')`],
    ['the place of the checkout', 'packages/block/DESIGN.md', 'see /build/understudy/packages'],
    ['a left-over "only"', 'packages/block/src/copy.test.ts', `test.on${'ly'}('x', () => {})`],
    ['a skipped suite', 'packages/block/src/copy.test.ts', `describe.sk${'ip'}('x', () => {})`],
    ['a conditional skip', 'e2e/sites.spec.ts', `test.skip${'If'}(true)('x', () => {})`],
    ['a skip from inside', 'packages/block/src/copy.test.ts', `context.sk${'ip'}('no QEMU')`],
    ['an unchecked certificate', 'packages/drivers/src/kvm/client.ts', `connect({ ${trusting} })`],
    [
      'certificates unchecked everywhere',
      'packages/drivers/src/kvm/client.ts',
      `NODE_TLS_REJECT_${'UNAUTHORIZED'}=0`,
    ],
    ['an unchecked file', 'packages/block/src/copy.ts', `// @ts-no${'check'}`],
  ])('%s is refused', (_what, path, text) => {
    expect(one(path, `\n${text}\n`)).toEqual([expect.stringContaining(path)])
  })

  test('a complaint about a word names its line', () => {
    expect(one('packages/block/src/copy.ts', `\n\n${trusting}`)[0]).toContain(
      'packages/block/src/copy.ts:3: ',
    )
  })

  test.each([
    ['a path of the system', 'packages/drivers/src/kvm/tools.ts', `open('/usr/share/qemu/bios.bin')`],
    ['a URL', 'packages/contract/src/sites.ts', `'https://example.com/ho${'me'}/ann'`],
    ['another function called skip', 'packages/block/src/copy.test.ts', 'reader.skip(4096)'],
    ['prose', 'packages/block/DESIGN.md', home],
  ])('%s is fine', (_what, path, text) => {
    expect(one(path, text)).toEqual([])
  })

  test('the top level is exactly the list: nothing more, nothing less', () => {
    expect(checkTopLevel(topLevel)).toEqual([])
    expect(checkTopLevel([...topLevel, 'tsconfig.json'])).toEqual([expect.stringContaining('tsconfig.json')])
    expect(checkTopLevel(topLevel.filter((name) => name !== 'prisma'))).toEqual([
      expect.stringContaining('prisma'),
    ])
  })
})

describe('licences', () => {
  const check = (license: string | undefined, more = {}) =>
    checkLicenses({ 'node_modules/x': { ...(license && { license }), ...more } }, () => undefined)

  test.each(['MIT', 'Apache-2.0', '(MIT OR GPL-3.0-only)', 'MIT and ISC'])('%s is accepted', (license) => {
    expect(check(license)).toEqual([])
  })

  test('a work that its author gave into the public domain is accepted by the address that says so, and by no other', () => {
    expect(check('http://geraintluff.github.io/tv4/LICENSE.txt')).toEqual([])
    expect(check('http://example.net/LICENSE.txt')).toHaveLength(1)
  })

  test.each(['GPL-2.0-only', 'AGPL-3.0', 'LGPL-3.0', 'MIT AND GPL-3.0-only', 'SSPL-1.0', undefined])(
    '%s is refused in production',
    (license) => {
      expect(check(license)).toHaveLength(1)
    },
  )

  test('a tool that is not shipped may have any licence', () => {
    expect(check('GPL-2.0-only', { dev: true })).toEqual([])
  })

  test('a package that the lock file says nothing about is read itself', () => {
    expect(checkLicenses({ 'node_modules/x': {} }, () => 'MIT')).toEqual([])
    expect(checkLicenses({ 'node_modules/x': {} }, () => 'AGPL-3.0')).toHaveLength(1)
  })
})
