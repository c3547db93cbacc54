import { Anchor, Group } from '@mantine/core'
import type { EvidenceSummary } from '@understudy/contract/plan-tests'

type EvidenceLinksProps = {
  readonly runId: string
  /** What the report is about, for whoever hears the links. */
  readonly of: string
  readonly evidence: Pick<EvidenceSummary, 'edition'>
}

const files = [
  ['report.html', 'Report'],
  ['report.pdf', 'PDF'],
  ['bundle.zip', 'Bundle'],
] as const

/** The report as a page, on paper, and everything in one file. */
export function EvidenceLinks({ runId, of, evidence }: EvidenceLinksProps) {
  const folder = `/api/v1/plan-runs/${encodeURIComponent(runId)}/evidence/${evidence.edition}`
  return (
    <Group gap="sm" wrap="nowrap" component="span">
      {files.map(([file, words]) => (
        <Anchor
          key={file}
          size="sm"
          underline="always"
          href={`${folder}/${file}`}
          target={file === 'bundle.zip' ? undefined : '_blank'}
          rel="noreferrer"
          aria-label={`${words} of ${of}`}
        >
          {words}
        </Anchor>
      ))}
    </Group>
  )
}
