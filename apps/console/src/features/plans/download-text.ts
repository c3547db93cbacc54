export function downloadText(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/yaml;charset=utf-8' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}

/** `Web shop / EU` to `web-shop-eu.plan.yaml`: a name that every file system takes. Pure. */
export const fileNameOf = (plan: string): string => {
  const plain = plan
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number}]+/gu, '-')
    .replaceAll(/^-+|-+$/g, '')
  return `${plain || 'plan'}.plan.yaml`
}
