import { ActionIcon, CopyButton, Group, Text, Tooltip } from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'

type CopyTextProps = {
  readonly text: string
  /** What is copied: "id", "address". */
  readonly what: string
  /** Shown instead of the whole text. */
  readonly short?: string
}

/** A text to be taken along: ids, addresses, secrets. */
export function CopyText({ text, what, short }: CopyTextProps) {
  return (
    <Group gap={4} wrap="nowrap" component="span" display="inline-flex" maw="100%">
      <Text span size="xs" ff="monospace" truncate title={text}>
        {short ?? text}
      </Text>
      <CopyButton value={text} timeout={1500}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : `Copy the ${what}`}>
            <ActionIcon
              variant="subtle"
              color={copied ? 'teal' : 'gray'}
              size="sm"
              onClick={copy}
              aria-label={copied ? 'Copied' : `Copy the ${what}`}
            >
              {copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Group>
  )
}
