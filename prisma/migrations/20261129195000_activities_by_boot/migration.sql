-- CreateIndex
CREATE INDEX "PlanActivity_bootId_idx" ON "PlanActivity"("bootId");
