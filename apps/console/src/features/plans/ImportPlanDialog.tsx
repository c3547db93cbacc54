import { Anchor, Button, FileButton, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import { IconUpload } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'

type ImportPlanDialogProps = { readonly onMade: (planId: string) => void; readonly onClose: () => void }

/** From a file or from the clipboard. What is wrong in it is said with its line. */
export function ImportPlanDialog({ onMade, onClose }: ImportPlanDialogProps) {
  useFocusBack()
  const queries = useQueryClient()
  const [text, setText] = useState('')
  const take = useMutation({
    mutationFn: () => client.plans.importDocument({ text }),
    onSuccess: ({ id }) => onMade(id),
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (text.trim() !== '' && !take.isPending) take.mutate()
  }
  return (
    <Modal opened onClose={onClose} title="Import a plan" size={720}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Group justify="space-between">
            <Text size="sm" c="var(--ink-quiet)">
              As exported, or written by hand after its{' '}
              <Anchor href="/api/plan.schema.json" size="sm">
                JSON schema
              </Anchor>
              . Machines go by their names.
            </Text>
            <FileButton
              accept=".yaml,.yml,.json,text/yaml"
              onChange={(file) => file && void file.text().then(setText)}
            >
              {(props) => (
                <Button {...props} variant="default" leftSection={<IconUpload size={15} />}>
                  Choose a file
                </Button>
              )}
            </FileButton>
          </Group>
          <Textarea
            label="YAML"
            autosize
            minRows={10}
            maxRows={22}
            spellCheck={false}
            placeholder={'understudyPlan: 1\nname: Web shop\ngroups: …'}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
            data-autofocus
          />
          <ProblemAlert error={take.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={text.trim() === ''} loading={take.isPending}>
              Import
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
