import { createHash } from 'node:crypto'
import type { EvidenceItem, EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import { readZip } from '@understudy/simulator/read-zip'
import { expect, test } from 'vitest'
import { openEvidencePrinter } from './open-evidence-printer.ts'

const start = Date.parse('2026-03-29T00:59:30Z')
/** One red dot. */
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
)
const evil = '<script>alert("x")</script>'

const item = (name: string, more: Partial<EvidenceItem> = {}): EvidenceItem => ({
  id: name,
  name,
  group: 'Databases',
  kind: 'machine',
  state: 'succeeded',
  attempts: 1,
  startedAt: start + 1000,
  endedAt: start + 61_000,
  isCritical: true,
  note: null,
  failure: null,
  output: null,
  answer: null,
  steeredBy: null,
  boot: null,
  tasks: [],
  ...more,
})

const report: EvidenceReport = {
  title: `Test of "${evil}"`,
  verdict: 'Failed',
  hasPassed: false,
  note: 'Stopped because "smoke" failed',
  runId: 'run-1',
  edition: 1,
  planId: 'plan-1',
  planName: 'Ünïcode Ελλάδα Кот',
  version: 3,
  edits: 1,
  savedBy: 'ada',
  savedAt: start - 86_400_000,
  kind: 'test',
  direction: 'forward',
  startedBy: 'the schedule',
  startedAt: start,
  endedAt: start + 95_000,
  dueAt: start - 30_000,
  timeZone: 'Europe/Berlin',
  madeAt: start + 100_000,
  point: 'Latest of each machine',
  parameters: [['domain', 'example.org']],
  settings: [['Time for a guest to answer', 'as configured']],
  targetSeconds: 60,
  tookSeconds: 95,
  criticalPath: [evil, 'smoke'],
  items: [
    item(evil, {
      boot: {
        pointInstant: start - 4000,
        pointAgeSeconds: 4,
        addresses: ['192.0.2.7'],
        answeredAt: start + 60_000,
        recoverySeconds: 59,
        screenshot: 'screenshots/001-_script_.png',
      },
      tasks: [
        {
          name: 'Wait for the guest to answer',
          state: 'succeeded',
          startedAt: start,
          endedAt: start + 60_000,
          note: 'HTTP 200 from http://192.0.2.7',
        },
      ],
    }),
    item('approve', {
      kind: 'approval',
      answer: { value: 'done', by: 'grace', at: start + 70_000, comment: 'go' },
    }),
    item('smoke', {
      kind: 'script',
      state: 'failed',
      attempts: 2,
      note: 'exit 1',
      failure: { code: 'step/failed', message: 'It ended with 1', remedy: 'Look at its output.' },
      output: `line\u0007 one\n${evil}\n`,
    }),
    item('dns', { kind: 'DNS update', state: 'left out', attempts: 0, startedAt: null, endedAt: null }),
    item('notify', { kind: 'manual', state: 'skipped', note: 'Skipped by ada', steeredBy: 'ada' }),
  ],
  followUps: [
    {
      title: 'Clean up of "Shop"',
      state: 'succeeded',
      startedBy: 'the schedule',
      startedAt: start + 96_000,
      endedAt: start + 99_000,
      note: null,
      items: [{ name: 'db', state: 'succeeded', note: null }],
    },
  ],
  log: [{ at: start, message: 'Test was started by the schedule' }],
  omitted: ['3 more screenshots, which are in the console'],
}
const pictures = new Map([['screenshots/001-_script_.png', png]])
const printer = openEvidencePrinter()
const filesOf = async (which = report) => {
  const printed = await printer.print(which, pictures)
  return { ...printed, content: Object.fromEntries(readZip(printed.bundle)) }
}
const textOf = (content: Uint8Array | undefined): string => Buffer.from(content ?? []).toString('utf8')

test('the bundle holds the page, the paper, the data and the pictures, and the sums of all of them are right', async () => {
  const { content, files } = await filesOf()
  expect(Object.keys(content).toSorted()).toEqual([
    'SHA256SUMS',
    'report.html',
    'report.pdf',
    'run.json',
    'screenshots/001-_script_.png',
  ])
  const sums = textOf(content.SHA256SUMS).trim().split('\n')
  expect(sums).toHaveLength(4)
  for (const line of sums) {
    const [sum = '', name = ''] = line.split('  ')
    expect(
      createHash('sha256')
        .update(content[name] ?? '')
        .digest('hex'),
    ).toBe(sum)
    expect(files.find((file) => file.name === name)).toMatchObject({
      sha256: sum,
      bytes: content[name]?.length,
    })
  }
})

test('the same report gives the same bytes, and another one others', async () => {
  const [first, again] = [await filesOf(), await filesOf()]
  expect(first.bundle.equals(again.bundle)).toBe(true)
  expect((await filesOf({ ...report, note: null })).bundle.equals(first.bundle)).toBe(false)
})

test('no name, output or comment becomes markup', async () => {
  const html = textOf((await filesOf()).content['report.html'])
  expect(html).not.toContain('<script')
  expect(html).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;')
  // It needs nothing else, and runs nothing.
  expect(html).not.toMatch(/(src|href)="(?!data:image\/png)/)
  expect(html).toContain(png.toString('base64'))
})

test.each([
  ['who and what', 'Ünïcode Ελλάδα Кот, version 3, edited 1 times during the run'],
  ['when, in UTC and in the zone of the plan', '2026-03-29 00:59:30 UTC (2026-03-29 01:59:30 Europe/Berlin)'],
  ['also after the clocks were put forward', '2026-03-29 01:01:05 UTC (2026-03-29 03:01:05 Europe/Berlin)'],
  ['how long, against the target', '1 min 35 s; target 1 min: missed'],
  ['points and their ages', '4 s old'],
  ['what the probe said', 'HTTP 200 from http://192.0.2.7'],
  ['approvals, by whom', '&quot;done&quot; by grace: go'],
  ['what was skipped, and why', 'skipped: Skipped by ada'],
  ['what was left out', 'not for this kind of run or direction'],
  ['what failed, and what to do', 'It ended with 1 (step/failed)'],
  ['attempts', '<th scope="row">Attempts</th><td>2</td>'],
  ['the clean-up', 'Clean up of &quot;Shop&quot;'],
  ['what has no room', '3 more screenshots'],
])('the page tells %s', async (_what, words) => {
  expect(textOf((await filesOf()).content['report.html'])).toContain(words)
})

test('the paper is a PDF with numbered pages, however much there is to tell', async () => {
  const many = { ...report, items: Array.from({ length: 60 }, (_, index) => item(`machine ${index}`)) }
  for (const which of [report, many]) {
    const pdf = textOf((await filesOf(which)).content['report.pdf'])
    expect(pdf.slice(0, 5)).toBe('%PDF-')
    expect(pdf.trimEnd().endsWith('%%EOF')).toBe(true)
  }
  const pages = (text: string): number => text.match(/\/Type \/Page\b/g)?.length ?? 0
  const [few, lots] = [
    pages(textOf((await filesOf()).content['report.pdf'])),
    pages(textOf((await filesOf(many)).content['report.pdf'])),
  ]
  expect(few).toBeGreaterThan(1)
  expect(few).toBeLessThan(6)
  expect(lots).toBeGreaterThan(8)
  expect(lots).toBeLessThan(30)
})

test('whatever somebody calls a machine or a program prints, there is paper', async () => {
  const texts = [
    '://',
    '-> => <= != ===',
    'fi ffi',
    '日本',
    'e\u0301',
    '\u200f\u0627',
    '\ud800',
    '\t\u0000\u001b[31m',
    '',
  ]
  const items = texts.map((text) => item(text, { output: text, note: text, group: text }))
  const pdf = textOf((await filesOf({ ...report, items, planName: texts.join(' ') })).content['report.pdf'])
  expect(pdf.slice(0, 5)).toBe('%PDF-')
})

test('what the paper cannot show is counted and told, and the page has it', async () => {
  const pdfOf = async (which: EvidenceReport) => textOf((await filesOf(which)).content['report.pdf'])
  const named = (note: string): EvidenceReport => ({ ...report, items: [item('x', { output: note })] })
  expect(await pdfOf(report)).not.toContain('cannot be printed')
  expect(await pdfOf(named('Кот, Ελλάδα, Ünï'))).not.toContain('cannot be printed')
  expect(await pdfOf(named('日'))).toContain('1 character cannot be printed here')
  expect(await pdfOf(named('日本 سلام'))).toContain('6 characters cannot be printed here')
  expect(textOf((await filesOf(named('日本 سلام'))).content['report.html'])).toContain('日本 سلام')
})

test('the data is the report, with times that everybody can read', async () => {
  const data = JSON.parse(textOf((await filesOf()).content['run.json']))
  expect(data).toMatchObject({ runId: 'run-1', startedAt: '2026-03-29T00:59:30.000Z', version: 3 })
  expect(data.items[0].boot.pointInstant).toBe('2026-03-29T00:59:26.000Z')
})

test('a picture that is none does not keep the report from being made', async () => {
  const broken = new Map([['screenshots/001-_script_.png', Buffer.from('no picture')]])
  const { bundle } = await printer.print(report, broken)
  expect(textOf(readZip(bundle).get('report.pdf')).slice(0, 5)).toBe('%PDF-')
})

test('one file of a bundle is opened by its name', async () => {
  const { bundle, content } = await filesOf()
  expect(printer.open(bundle, 'report.html')?.equals(Buffer.from(content['report.html'] ?? []))).toBe(true)
  expect(printer.open(bundle, '../report.html')).toBeNull()
})
